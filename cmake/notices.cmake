# third-party-notices.txt: what `linnet licences` prints. Debian's packages bring the notices of their
# upstreams; where those are absent, a line names the component and its licence. Included by
# cli/CMakeLists.txt.
set(notices ${CMAKE_CURRENT_BINARY_DIR}/third-party-notices.txt)
set(notices_text "Linnet, version ${PROJECT_VERSION}. Licence: Apache License 2.0 (at the end).

This program contains or links the following works of others. Those that the system provides as
shared libraries come under the same licences.
")
set(common_licences Apache-2.0)

# The component, its licence, and the package whose copyright file has the notice; or a file of
# licences/.
function(linnet_notice name licence package)
  set(file /usr/share/doc/${package}/copyright)
  if(EXISTS ${PROJECT_SOURCE_DIR}/licences/${package})
    set(file ${PROJECT_SOURCE_DIR}/licences/${package})
  endif()
  set(text "\n${LINNET_NOTICE_RULE}\n${name}: ${licence}\n${LINNET_NOTICE_RULE}\n\n")
  if(EXISTS ${file})
    file(READ ${file} notice)
    string(APPEND text "${notice}")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    # Texts that the notice refers to instead of repeating them.
    string(REGEX MATCHALL "/usr/share/common-licenses/[A-Za-z0-9.-]*[A-Za-z0-9]" found "${notice}")
    list(TRANSFORM found REPLACE ".*/" "")
    set(common_licences ${common_licences} ${found} PARENT_SCOPE)
  else()
    string(APPEND text "The notice was not on the machine where this program was built.\n")
  endif()
  set(notices_text "${notices_text}${text}" PARENT_SCOPE)
endfunction()
string(REPEAT "=" 78 LINNET_NOTICE_RULE)

linnet_notice("Boost (Asio and others)" "Boost Software License 1.0" boost.txt)
linnet_notice("CLI11" "BSD-3-Clause" libcli11-dev)
linnet_notice("curl" "curl licence" libcurl4)
linnet_notice("{fmt}" "MIT" libfmt-dev)
linnet_notice("Highway" "Apache-2.0" libhwy-dev)
linnet_notice("JSON for Modern C++" "MIT" nlohmann-json3-dev)
linnet_notice("libstdc++" "GPL-3.0 with the GCC Runtime Library Exception" libstdc++6)
linnet_notice("OpenSSL" "Apache-2.0" libssl3)
linnet_notice("prometheus-cpp" "MIT" prometheus-cpp-dev)
linnet_notice("SQLite" "public domain" libsqlite3-0)
linnet_notice("toml++" "MIT" libtomlplusplus-dev)
linnet_notice("utf8proc" "MIT, Unicode data" libutf8proc2)
linnet_notice("zlib" "zlib licence" zlib1g)
linnet_notice("Zstandard" "BSD-3-Clause" libzstd1)
if(LINNET_LIBEDIT)
  linnet_notice("libedit" "BSD-3-Clause" libedit2)
endif()
if(MPI_C_FOUND)
  linnet_notice("Open MPI" "BSD-3-Clause" libopenmpi3)
endif()
if(LINNET_CHART_JS)
  linnet_notice("Chart.js" "MIT" libjs-chart.js)
endif()
linnet_notice("World vocabulary of RWKV" "Apache-2.0" world-vocabulary.txt)

# GPL and LGPL stand for other files of those packages or for the exception's base; they are long,
# and every system with such a library has them.
list(REMOVE_DUPLICATES common_licences)
list(SORT common_licences)
foreach(licence IN LISTS common_licences)
  set(file /usr/share/common-licenses/${licence})
  if(licence STREQUAL "Apache-2.0")
    set(file ${PROJECT_SOURCE_DIR}/LICENSE)
  endif()
  if(EXISTS ${file})
    file(READ ${file} notice)
    string(APPEND notices_text
      "\n${LINNET_NOTICE_RULE}\n${licence}\n${LINNET_NOTICE_RULE}\n\n${notice}")
  endif()
endforeach()
set(notices_before "")
if(EXISTS ${notices})
  file(READ ${notices} notices_before)
endif()
if(NOT notices_before STREQUAL notices_text)
  file(WRITE ${notices} "${notices_text}")
endif()
set_source_files_properties(notices.cc PROPERTIES
  COMPILE_DEFINITIONS LINNET_NOTICES="${notices}" OBJECT_DEPENDS ${notices})
