#pragma once

#include <openssl/ssl.h>

#include <algorithm>
#include <memory>
#include <string>

#include "base/stream.h"
#include "support/test_service.h"

namespace flexroom::support {

/// OpenSSL's TLS 1.3 server as the socket of the courier: one request, one answer, close_notify.
class OpensslService : public ByteStream {
 public:
  struct Options {
    std::string answer;
    size_t max_fragment = 0;  // of a record's content; 0: OpenSSL's own
    size_t padding = 0;       // records are padded to multiples of it
    std::string suite = "TLS_AES_128_GCM_SHA256";
    std::string groups = "X25519:P-256";
    bool key_update = false;       // in the middle of the answer
    int verify = SSL_VERIFY_NONE;  // SSL_VERIFY_PEER: asks for a client certificate
  };
  OpensslService(Options options, TestService::Seen& seen)
      : options_(std::move(options)), seen_(seen), context_(SSL_CTX_new(TLS_server_method())) {
    const tls::testing::Pki& pki = tls::testing::Pki::shared();
    SSL_CTX_set_min_proto_version(context_.get(), TLS1_3_VERSION);
    bool good = SSL_CTX_set_ciphersuites(context_.get(), options_.suite.c_str()) == 1 &&
                SSL_CTX_set1_groups_list(context_.get(), options_.groups.c_str()) == 1 &&
                SSL_CTX_use_certificate(context_.get(), pki.leaf.get()) == 1 &&
                SSL_CTX_add1_chain_cert(context_.get(), pki.middle.get()) == 1 &&
                SSL_CTX_use_PrivateKey(context_.get(), pki.leaf_key.get()) == 1;
    if (options_.padding != 0) {
      good = good && SSL_CTX_set_block_padding(context_.get(), options_.padding) == 1;
    }
    if (!options_.groups.empty()) {
      good = good && SSL_CTX_set1_groups_list(context_.get(), options_.groups.c_str()) == 1;
    }
    SSL_CTX_set_verify(context_.get(), options_.verify, nullptr);
    ssl_.reset(SSL_new(context_.get()));
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    FLEXROOM_ASSERT(good && ssl_ != nullptr && in_ != nullptr && out_ != nullptr);
    SSL_set_bio(ssl_.get(), in_, out_);  // takes both
    SSL_set_accept_state(ssl_.get());
    if (options_.max_fragment != 0) SSL_set_max_send_fragment(ssl_.get(), options_.max_fragment);
  }

  void write(ByteView bytes) override {
    seen_.hello = true;
    seen_.retried = ++writes_ > 2;  // a hello, the flight with the request
    BIO_write(in_, bytes.data(), static_cast<int>(bytes.size()));
    Bytes request(1 << 16);
    const int got = SSL_read(ssl_.get(), request.data(), static_cast<int>(request.size()));
    seen_.finished = SSL_is_init_finished(ssl_.get()) == 1;
    if (got <= 0 || answered_) return;
    answered_ = true;
    seen_.request = to_text(ByteView(request).first(static_cast<size_t>(got)));
    const std::string& answer = options_.answer;
    const size_t first = options_.key_update ? answer.size() / 2 : answer.size();
    SSL_write(ssl_.get(), answer.data(), static_cast<int>(first));
    if (options_.key_update) {
      SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_NOT_REQUESTED);
      SSL_write(ssl_.get(), answer.data() + first, static_cast<int>(answer.size() - first));
    }
    SSL_shutdown(ssl_.get());
  }
  Bytes read_some(size_t max) override {
    Bytes out(std::min<size_t>(max, 1 << 14));
    const int got = BIO_read(out_, out.data(), static_cast<int>(out.size()));
    out.resize(static_cast<size_t>(std::max(got, 0)));
    return out;
  }
  std::optional<Bytes> read_some_within(size_t max, std::chrono::milliseconds) override {
    return read_some(max);
  }
  void close() override {}

 private:
  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  const Options options_;
  TestService::Seen& seen_;
  std::unique_ptr<SSL_CTX, Free> context_;
  std::unique_ptr<SSL, Free> ssl_;
  BIO* in_ = nullptr;
  BIO* out_ = nullptr;
  size_t writes_ = 0;
  bool answered_ = false;
};

}  // namespace flexroom::support
