# What the pages of `linnet plot`, `eval` and `perplexity` are made of: Chart.js (npm's chart.js,
# Debian's libjs-chart.js), the style and the templates. Without Chart.js the build continues, and the commands
# say what is missing.
find_file(LINNET_CHART_JS chart.min.js PATHS /usr/share/javascript/chart.js NO_DEFAULT_PATH)
mark_as_advanced(LINNET_CHART_JS)
set(files ${PROJECT_SOURCE_DIR}/cli/page_style.css)
set(definitions LINNET_PAGE_STYLE="${files}")
foreach(page plot eval curve)
  string(TOUPPER ${page} name)
  set(file ${PROJECT_SOURCE_DIR}/cli/${page}_page.html)
  list(APPEND definitions LINNET_${name}_PAGE="${file}")
  list(APPEND files ${file})
endforeach()
if(LINNET_CHART_JS)
  list(APPEND definitions LINNET_CHART_JS="${LINNET_CHART_JS}")
  list(APPEND files ${LINNET_CHART_JS})
else()
  message(STATUS "No Chart.js: linnet plot will say so")
endif()
set_source_files_properties(html_page.cc PROPERTIES
  COMPILE_DEFINITIONS "${definitions}" OBJECT_DEPENDS "${files}")
