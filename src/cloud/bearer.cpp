#include "cloud/bearer.h"

#include <openssl/crypto.h>

#include <fstream>

#include "cloud/accounts.h"

namespace flexroom::cloud {
namespace {

constexpr size_t kTokenChars = 48;
constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

}  // namespace

BearerToken::BearerToken(const std::filesystem::path& file) {
  std::string token;
  std::ifstream(file) >> token;
  if (token.size() != kTokenChars) {
    token = random_text(kTokenChars, kAlphabet);
    write_private_file(file, token + "\n");
  }
  expected_ = "Bearer " + token;
}

bool BearerToken::borne_by(const Request& request) const {
  const std::string given = request.header("authorization").value_or("");
  return given.size() == expected_.size() &&
         CRYPTO_memcmp(given.data(), expected_.data(), expected_.size()) == 0;
}

}  // namespace flexroom::cloud
