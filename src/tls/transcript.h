#pragma once

#include <memory>

#include "base/bytes.h"
#include "tls/hash_kind.h"

struct evp_md_ctx_st;

namespace flexroom::tls {

/// Running hash of the suite over the handshake messages, headers included (RFC 8446 §4.4.1). All
/// public.
class Transcript {
 public:
  explicit Transcript(const HashKind& kind);

  void add(ByteView message);
  /// Behind the first ClientHello, in front of a HelloRetryRequest: its hash takes its place, as a
  /// message of type message_hash (RFC 8446 §4.4.1).
  void retry();
  HashValue digest() const;

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  using Context = std::unique_ptr<evp_md_ctx_st, Free>;

  static Context new_context();
  void begin();

  const HashKind* kind_;
  Context context_;
};

}  // namespace flexroom::tls
