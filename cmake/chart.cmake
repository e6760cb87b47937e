# What `linnet plot` puts into its pages: Chart.js (npm's chart.js, Debian's libjs-chart.js) and the
# page around it. Without Chart.js the build goes on, and the command says what is missing.
find_file(LINNET_CHART_JS chart.min.js PATHS /usr/share/javascript/chart.js NO_DEFAULT_PATH)
mark_as_advanced(LINNET_CHART_JS)
set(page ${PROJECT_SOURCE_DIR}/cli/plot_page.html)
set(definitions LINNET_PLOT_PAGE="${page}")
set(files ${page})
if(LINNET_CHART_JS)
  list(APPEND definitions LINNET_CHART_JS="${LINNET_CHART_JS}")
  list(APPEND files ${LINNET_CHART_JS})
else()
  message(STATUS "No Chart.js: linnet plot will say so")
endif()
set_source_files_properties(plot.cc PROPERTIES
  COMPILE_DEFINITIONS "${definitions}" OBJECT_DEPENDS "${files}")
