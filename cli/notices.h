// The notices of third parties that this program contains and links.
#ifndef LINNET_CLI_NOTICES_H_
#define LINNET_CLI_NOTICES_H_

#include <string_view>

namespace linnet::cli {

// As text; lives as long as the program.
std::string_view Notices();

}  // namespace linnet::cli

#endif  // LINNET_CLI_NOTICES_H_
