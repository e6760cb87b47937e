// FillPage: a page that shows data with Chart.js, in one file that needs no network.
#ifndef LINNET_CLI_HTML_PAGE_H_
#define LINNET_CLI_HTML_PAGE_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace linnet::cli {

// The templates: plot_page.html, eval_page.html, curve_page.html.
enum class PageKind : uint8_t { kTraining, kEvaluation, kLossCurve };

// The page with its data. Throws Error kBadInput if the program was built without Chart.js.
std::string FillPage(PageKind kind, const nlohmann::ordered_json& data);

}  // namespace linnet::cli

#endif  // LINNET_CLI_HTML_PAGE_H_
