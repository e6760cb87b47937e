#include "cli/html_page.h"

#include <string_view>

#include "linnet/error.h"

// cmake/chart.cmake sets the paths; the assembler embeds the files.
#define LINNET_PAGE_FILE(name, path) \
  asm(".pushsection .rodata\n" name  \
      ":\n"                          \
      ".incbin \"" path              \
      "\"\n"                         \
      ".byte 0\n"                    \
      ".popsection\n")
#ifdef LINNET_CHART_JS
LINNET_PAGE_FILE("linnet_chart_js", LINNET_CHART_JS);
extern "C" const char linnet_chart_js[];
#endif
LINNET_PAGE_FILE("linnet_page_style", LINNET_PAGE_STYLE);
LINNET_PAGE_FILE("linnet_plot_page", LINNET_PLOT_PAGE);
LINNET_PAGE_FILE("linnet_eval_page", LINNET_EVAL_PAGE);
LINNET_PAGE_FILE("linnet_curve_page", LINNET_CURVE_PAGE);
extern "C" const char linnet_page_style[], linnet_plot_page[], linnet_eval_page[],
    linnet_curve_page[];

namespace linnet::cli {

std::string FillPage(PageKind kind, const nlohmann::ordered_json& data) {
#ifdef LINNET_CHART_JS
  std::string text = data.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  // Only "</" could end the script element.
  for (size_t at = 0; (at = text.find("</", at)) != std::string::npos; at += 3) {
    text.replace(at, 2, "<\\/");
  }
  std::string page = kind == PageKind::kTraining     ? linnet_plot_page
                     : kind == PageKind::kEvaluation ? linnet_eval_page
                                                     : linnet_curve_page;
  const auto replace = [&](std::string_view mark, std::string_view with) {
    page.replace(page.find(mark), mark.size(), with);
  };
  replace("@STYLE@\n", linnet_page_style);
  replace("@DATA@", text);
  replace("@CHART@", linnet_chart_js);
  return page;
#else
  (void)kind;
  (void)data;
  throw Error(ErrorKind::kBadInput,
              "built without Chart.js; install libjs-chart.js and build again");
#endif
}

}  // namespace linnet::cli
