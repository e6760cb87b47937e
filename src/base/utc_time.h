// UtcTime: a time as logs and APIs write it.
#ifndef LINNET_BASE_UTC_TIME_H_
#define LINNET_BASE_UTC_TIME_H_

#include <chrono>
#include <string>

namespace linnet {

// RFC 3339 in UTC with milliseconds: "2026-11-29T13:20:07.123Z". From the year 1970 on.
std::string UtcTime(std::chrono::system_clock::time_point time);

}  // namespace linnet

#endif  // LINNET_BASE_UTC_TIME_H_
