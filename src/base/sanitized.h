// Whether this is compiled under AddressSanitizer or ThreadSanitizer. They need extra memory, time
// and descriptors, so tests that measure or limit these are skipped.
#ifndef LINNET_BASE_SANITIZED_H_
#define LINNET_BASE_SANITIZED_H_

namespace linnet {

#if defined(__has_feature)  // clang
inline constexpr bool kSanitized =
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace linnet

#endif  // LINNET_BASE_SANITIZED_H_
