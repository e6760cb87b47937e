// NewId: ids of answers that cannot be guessed.
#ifndef LINNET_SERVER_NEW_ID_H_
#define LINNET_SERVER_NEW_ID_H_

#include <string>
#include <string_view>

namespace linnet {

// `prefix` and 24 random letters and digits, 142 bits of the system's generator. Thread-safe.
std::string NewId(std::string_view prefix);

}  // namespace linnet

#endif  // LINNET_SERVER_NEW_ID_H_
