# Warnings are errors in our own code; generated and system headers are left alone.
add_library(ukai_flags INTERFACE)
target_compile_options(ukai_flags INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -Werror
  # clang takes the counts of generated messages for suspicious ones; g++ sees the same code in all other presets.
  $<$<CXX_COMPILER_ID:Clang>:-Wno-conversion>
  # g++ 12 reports these falsely inside std::string and std::optional at -O2 (GCC bugs 105329, 105562).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict> $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
if(UKAI_SANITIZE)
  add_compile_options(-fsanitize=${UKAI_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${UKAI_SANITIZE})
  if(UKAI_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=all)
  endif()
  if(UKAI_SANITIZE MATCHES "fuzzer")
    # clang 14 cannot assemble a coroutine with this check ("difference across sections").
    add_compile_options(-fno-sanitize=function)
  endif()
  if(UKAI_SANITIZE MATCHES "thread")
    # Asio uses fences, which TSan does not follow; what they order is ordered by locks as well.
    add_compile_options(-Wno-tsan)
  endif()
endif()
