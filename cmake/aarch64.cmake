# Cross-builds for aarch64 with Debian's compiler and the libraries that `tools/fetch-foreign arm64
# build-aarch64/debian` unpacks; programs run under qemu's user mode. Used by the preset aarch64.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

set(LINNET_SYSROOT "" CACHE PATH "Where the libraries are unpacked")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES LINNET_SYSROOT)
set(CMAKE_FIND_ROOT_PATH ${LINNET_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${LINNET_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR}
  ${LINNET_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${LINNET_SYSROOT}/usr/share/pkgconfig)
# Debian keeps OpenSSL's configuration in a folder of the architecture. Not in the initial flags,
# which the preset's own flags replace.
foreach(language C CXX)
  set(CMAKE_${language}_STANDARD_INCLUDE_DIRECTORIES
    ${LINNET_SYSROOT}/usr/include/aarch64-linux-gnu)
endforeach()
# Dependencies of the libraries above.
foreach(folder lib usr/lib)
  string(APPEND CMAKE_EXE_LINKER_FLAGS_INIT
    " -Wl,-rpath-link,${LINNET_SYSROOT}/${folder}/aarch64-linux-gnu")
endforeach()

set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64;-L;/usr/aarch64-linux-gnu)
