// Gunzip: what is built into the program is compressed.
#ifndef LINNET_TEXT_GUNZIP_H_
#define LINNET_TEXT_GUNZIP_H_

#include <cstdint>
#include <span>
#include <string>

namespace linnet {

// The content of a gzip file. Bytes behind its end are ignored. Only for data that comes from the
// build: what is no gzip file is a bug.
std::string Gunzip(std::span<const uint8_t> file);

}  // namespace linnet

#endif  // LINNET_TEXT_GUNZIP_H_
