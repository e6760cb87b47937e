// The web page: a chat in the browser, from files that are built into the program.
#ifndef LINNET_SERVER_PAGE_H_
#define LINNET_SERVER_PAGE_H_

#include <string>
#include <string_view>
#include <vector>

#include "server/router.h"

namespace linnet {

// What `/` answers to clients that do not ask for HTML.
inline constexpr std::string_view kPageGreeting = "linnet is running\n";

// Paths of the page. They need no API key: the page asks for it.
std::vector<std::string> PagePaths();

// GET of each of PagePaths(): the page's files, with an ETag. Files of /assets/ have the hash of
// their content in their name and may be kept for ever, others are to be asked for again. They are
// sent compressed if the client takes gzip. `/` is the page for a client that accepts text/html,
// otherwise `greeting` as text. All have a content security policy that allows the server's own
// files only, and nothing inline.
void AddPageRoutes(Router& router, std::string greeting = std::string(kPageGreeting));

// Whether an Accept-Encoding allows gzip: it or `*` is named, without q=0. Public for tests.
bool AcceptsGzip(std::string_view accept_encoding);

}  // namespace linnet

#endif  // LINNET_SERVER_PAGE_H_
