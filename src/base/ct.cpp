#include "base/ct.h"

#include <openssl/crypto.h>

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#endif

namespace flexroom {

bool ct_equal(ByteView a, ByteView b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

#ifdef VALGRIND_MAKE_MEM_UNDEFINED
void mark_secret(const void* data, size_t size) { (void)VALGRIND_MAKE_MEM_UNDEFINED(data, size); }
void declassify(const void* data, size_t size) { (void)VALGRIND_MAKE_MEM_DEFINED(data, size); }
#else
void mark_secret(const void*, size_t) {}
void declassify(const void*, size_t) {}
#endif

}  // namespace flexroom
