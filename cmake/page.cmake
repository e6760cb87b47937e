# Embeds the web page in linnet_server: the compressed files of web/dist, which `tools/check-page`
# builds from web/ and which are part of the repository. Without them the build continues, and the
# server answers `/` with a line of text. Included by src/CMakeLists.txt after the room.
set(page ${PROJECT_SOURCE_DIR}/web/dist)
file(GLOB_RECURSE page_files CONFIGURE_DEPENDS ${page}/*.gz)
list(SORT page_files)
set(list "// Written by cmake/page.cmake: number, path of the URL, file.\n")
set(number 0)
foreach(file IN LISTS page_files)
  file(RELATIVE_PATH name ${page} ${file})
  string(REGEX REPLACE "\\.gz$" "" name ${name})
  string(APPEND list "LINNET_PAGE_FILE(${number}, \"/${name}\", \"${file}\")\n")
  math(EXPR number "${number} + 1")
endforeach()
file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/page/page_files.inc CONTENT "${list}" @ONLY)
target_include_directories(linnet_server PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/page)
set_source_files_properties(server/page_files.cc PROPERTIES
  SKIP_UNITY_BUILD_INCLUSION ON OBJECT_DEPENDS "${page_files}")
if(page_files)
  message(STATUS "Web page: ${page}")
else()
  message(STATUS "Web page: none; web/dist is empty, run tools/check-page")
endif()
