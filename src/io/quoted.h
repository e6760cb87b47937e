// Quoted: a name from a file, made safe for a one-line message.
#ifndef LINNET_IO_QUOTED_H_
#define LINNET_IO_QUOTED_H_

#include <string>
#include <string_view>

namespace linnet {

// At most 80 bytes. Bytes that are not printable ASCII become '?', so that a hostile name can
// neither break the line nor control a terminal.
std::string Quoted(std::string_view name);

}  // namespace linnet

#endif  // LINNET_IO_QUOTED_H_
