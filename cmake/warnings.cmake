# Warnings every target of this project is built with; all of them are errors.
add_library(flexroom_warnings INTERFACE)
target_compile_options(flexroom_warnings INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Werror)
# -Wsign-conversion is left out: with spans and size_t it flags noise only.
target_compile_options(flexroom_warnings INTERFACE -Wno-sign-conversion)
# With -O3, g++ 12 takes the branches of vector::insert for small vectors that cannot be reached and
# reports them (GCC PR 105329, 107852). Preset dev and clang keep what is left out here.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_FLAGS MATCHES "-O3")
  target_compile_options(flexroom_warnings INTERFACE
    -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread -Wno-restrict)
endif()
