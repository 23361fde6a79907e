#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "http/presign.h"

namespace flexroom {

/// Of one member: where its data lies in a store like S3, and where its result goes.
struct LinksToMake {
  std::string endpoint;  // https://HOST[:PORT]; empty: that of AWS in the region
  std::string region, bucket;
  std::string data_key, result_key;
  std::string loader_key;      // empty: no place of its own for the loader
  bool public_loader = false;  // everybody may GET that object, so its link is not signed
  bool path_style = false;     // https://HOST/BUCKET/KEY in place of https://BUCKET.HOST/KEY
  std::chrono::seconds lasts{12 * 3600};  // 1 s to 7 days
  std::filesystem::path file;             // links.toml
};

/// The member's own key: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, if it is there,
/// AWS_SESSION_TOKEN of the environment. Its secret is overwritten there and taken out: nothing
/// that this process starts has it. Throws InputError naming the variable, never its value.
http::AwsCredential take_own_credential();

/// Signs the links with the member's own key, which leaves this machine in no way, and writes the
/// links.toml that run-script reads (mode 0600; LinksConfig read it back). No store is asked.
/// Throws InputError: an argument, a link that run-script would refuse, a file that is there.
void make_links(const LinksToMake& links, const http::AwsCredential& own, http::SystemTime now);

}  // namespace flexroom
