# A room is a folder of src/: one library from its .cc files, and with LINNET_TESTS one test
# program from its *_test.cc files. DEPENDS names the rooms it may include.
function(linnet_room name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LIBS;TEST_LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${name}/*.cc)
  file(GLOB tests CONFIGURE_DEPENDS ${name}/*_test.cc)
  if(tests)
    list(REMOVE_ITEM sources ${tests})
  endif()
  list(TRANSFORM ARG_DEPENDS PREPEND linnet_)
  set(target linnet_${name})
  if(sources)
    add_library(${target} STATIC ${sources})
    linnet_unity(${target})
    set_property(GLOBAL APPEND PROPERTY LINNET_ROOMS ${target})
    set(scope PUBLIC)
  else()
    add_library(${target} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(${target} ${scope}
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>)
  target_link_libraries(${target} ${scope} ${ARG_DEPENDS} ${ARG_LIBS})
  if(LINNET_TESTS AND tests)
    linnet_test(${name}_test SOURCES ${tests} LIBS ${target} ${ARG_TEST_LIBS})
  endif()
endfunction()

# One CTest entry per TEST; they run from the project's root, so that ../shared/data is found.
function(linnet_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  include(GoogleTest)
  add_executable(${name} ${ARG_SOURCES})
  linnet_unity(${name})
  # Optimizing a test takes longer than it saves, but for those that compute what they expect.
  if(NOT name MATCHES "^(kernels|ops)_test$")
    target_compile_options(${name} PRIVATE -O0)
  else()
    target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1> $<$<CONFIG:Instrumented>:-O0>)
  endif()
  # UBSan looks at the library's lines. In the tests' own it would be a third of their compile time.
  target_compile_options(${name} PRIVATE
    $<$<AND:$<CONFIG:Instrumented>,$<CXX_COMPILER_ID:Clang>>:-fno-sanitize=undefined>)
  target_link_libraries(${name} PRIVATE ${ARG_LIBS} GTest::gtest GTest::gtest_main hwy::hwy_test)
  gtest_discover_tests(${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} DISCOVERY_MODE PRE_TEST
    PROPERTIES TIMEOUT 600)
endfunction()
