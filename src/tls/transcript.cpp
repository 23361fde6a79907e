#include "tls/transcript.h"

#include <openssl/evp.h>

#include "base/error.h"

namespace flexroom::tls {

void Transcript::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Transcript::Context Transcript::new_context() {
  Context out(EVP_MD_CTX_new());
  FLEXROOM_ASSERT(out != nullptr);
  return out;
}

Transcript::Transcript(const HashKind& kind) : kind_(&kind), context_(new_context()) { begin(); }

void Transcript::begin() {
  FLEXROOM_ASSERT(EVP_DigestInit_ex2(context_.get(), kind_->md(), nullptr) == 1);
}

void Transcript::add(ByteView message) {
  FLEXROOM_ASSERT(EVP_DigestUpdate(context_.get(), message.data(), message.size()) == 1);
}

void Transcript::retry() {
  constexpr uint8_t kMessageHash = 254;
  const HashValue first = digest();
  const uint8_t header[] = {kMessageHash, 0, 0, static_cast<uint8_t>(first.size())};
  begin();
  add(header);
  add(first);
}

HashValue Transcript::digest() const {
  std::array<uint8_t, EVP_MAX_MD_SIZE> out;
  unsigned size = 0;
  const Context copy = new_context();
  FLEXROOM_ASSERT(EVP_MD_CTX_copy_ex(copy.get(), context_.get()) == 1 &&
                  EVP_DigestFinal_ex(copy.get(), out.data(), &size) == 1 &&
                  size == kind_->digest_bytes);
  return HashValue(ByteView(out).first(size));
}

}  // namespace flexroom::tls
