// PageFiles: the files of the web page, compressed, as they are built into the program.
#ifndef LINNET_SERVER_PAGE_FILES_H_
#define LINNET_SERVER_PAGE_FILES_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace linnet {

struct PageFile {
  std::string_view path;          // of the URL: "/index.html", "/assets/index-B2cD.js"
  std::span<const uint8_t> gzip;  // lives as long as the program
};

// In the order of their paths; empty if the program was built without the page.
std::vector<PageFile> PageFiles();

}  // namespace linnet

#endif  // LINNET_SERVER_PAGE_FILES_H_
