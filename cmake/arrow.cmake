# Parquet and Arrow files for linnet_eval, only if asked for, since the program then needs these
# libraries to run. PyPI's pyarrow has them with their headers: LINNET_ARROW is its folder, or `auto`
# for that of the PATH's python3. Without it the program says what is missing. Included by
# src/CMakeLists.txt after the room.
set(LINNET_ARROW "" CACHE STRING "The folder of pyarrow, or auto; empty: no Parquet and Arrow files")
set(arrow "${LINNET_ARROW}")
if(arrow STREQUAL "auto")
  execute_process(COMMAND python3 -c "import pyarrow; print(*pyarrow.__path__)"
    OUTPUT_VARIABLE arrow OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(NOT arrow)
    message(FATAL_ERROR "LINNET_ARROW: python3 has no pyarrow; pip install pyarrow")
  endif()
endif()
if(arrow)
  file(GLOB libraries ${arrow}/libarrow.so.* ${arrow}/libparquet.so.*)
  if(NOT libraries OR NOT EXISTS ${arrow}/include/parquet/arrow/reader.h)
    message(FATAL_ERROR "LINNET_ARROW: ${arrow} has no Arrow and Parquet libraries with headers")
  endif()
  set_source_files_properties(eval/arrow_rows.cc PROPERTIES
    COMPILE_DEFINITIONS LINNET_WITH_ARROW SKIP_UNITY_BUILD_INCLUSION ON
    COMPILE_OPTIONS "-isystem;${arrow}/include")
  target_link_libraries(linnet_eval PUBLIC ${libraries})
endif()
