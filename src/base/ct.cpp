#include "base/ct.h"

#include <openssl/crypto.h>

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#endif

namespace flexroom {

#ifdef VALGRIND_MAKE_MEM_UNDEFINED
void mark_secret(const void* data, size_t size) { (void)VALGRIND_MAKE_MEM_UNDEFINED(data, size); }
void declassify(const void* data, size_t size) { (void)VALGRIND_MAKE_MEM_DEFINED(data, size); }
#else
void mark_secret(const void*, size_t) {}
void declassify(const void*, size_t) {}
#endif

bool ct_equal(ByteView a, ByteView b) {
  if (a.size() != b.size()) return false;
  const int difference = CRYPTO_memcmp(a.data(), b.data(), a.size());
  declassify(&difference, sizeof difference);
  return difference == 0;
}

bool ct_equal(const Block& a, const Block& b) { return ct_equal(block_bytes(a), block_bytes(b)); }

}  // namespace flexroom
