# CMake includes this file into llama-cpp-python's project (CMAKE_PROJECT_llama_cpp_INCLUDE, set by install.py).
# That project forces the cache variable LLAMA_BUILD_COMMON on. A normal variable hides a cache variable (policy CMP0126),
# so this line leaves out llama.cpp's library for command-line tools, which the Python binding does not load.
set(LLAMA_BUILD_COMMON OFF)
