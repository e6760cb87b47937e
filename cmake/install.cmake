# The installed library: all rooms in one archive, the public headers, a CMake package
# (linnet::linnet) and a pkg-config file. The program is in program.cmake.
include(CMakePackageConfigHelpers)

get_property(rooms GLOBAL PROPERTY LINNET_ROOMS)
# No public header leads to these rooms: programs that link the library need neither TLS nor YAML.
list(FILTER rooms EXCLUDE REGEX "^linnet_(eval|http|download|server)$")
list(TRANSFORM rooms REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE objects)
add_library(linnet STATIC ${objects})
add_library(linnet::linnet ALIAS linnet)
set_target_properties(linnet PROPERTIES LINKER_LANGUAGE CXX)
target_include_directories(linnet PUBLIC
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_features(linnet PUBLIC cxx_std_20)
target_link_libraries(linnet
  PRIVATE hwy::hwy fmt::fmt OpenSSL::Crypto ZLIB::ZLIB PkgConfig::utf8proc PkgConfig::sqlite3
  PkgConfig::zstd Threads::Threads)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/linnet)
install(TARGETS linnet EXPORT linnet ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/linnet DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.h")
install(EXPORT linnet FILE linnetTargets.cmake NAMESPACE linnet:: DESTINATION ${package_dir})
configure_package_config_file(cmake/linnetConfig.cmake.in ${PROJECT_BINARY_DIR}/linnetConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/linnetConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/linnetConfig.cmake
  ${PROJECT_BINARY_DIR}/linnetConfigVersion.cmake DESTINATION ${package_dir})
file(RELATIVE_PATH pc_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/linnet.pc.in ${PROJECT_BINARY_DIR}/linnet.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/linnet.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
