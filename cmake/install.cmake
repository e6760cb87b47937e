# Packages users install the library from: targets, headers, CMake package and pkg-config.
