// LINNET_CHECK: aborts on our own bugs, never on input; LINNET_DCHECK in Debug only.
#ifndef LINNET_BASE_CHECK_H_
#define LINNET_BASE_CHECK_H_

namespace linnet {

[[noreturn]] void CheckFailed(const char* file, int line, const char* condition) noexcept;

}  // namespace linnet

#define LINNET_CHECK(condition)                              \
  do {                                                       \
    if (!(condition)) [[unlikely]] {                         \
      ::linnet::CheckFailed(__FILE__, __LINE__, #condition); \
    }                                                        \
  } while (false)

#ifdef NDEBUG
#define LINNET_DCHECK(condition) static_cast<void>(0)
#else
#define LINNET_DCHECK(condition) LINNET_CHECK(condition)
#endif

#endif  // LINNET_BASE_CHECK_H_
