#include "net/identity.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>

#include "base/error.h"

namespace flexroom::net {
namespace {

namespace fs = std::filesystem;

class IdentityTest : public ::testing::Test {
 protected:
  IdentityTest() {
    char name[] = "/tmp/flexroom-identity-XXXXXX";
    directory_ = fs::path(mkdtemp(name)) / "id";
  }
  ~IdentityTest() override { fs::remove_all(directory_.parent_path()); }
  static mode_t mode_of(const fs::path& path) {
    struct stat info {};
    stat(path.c_str(), &info);
    return info.st_mode & 0777;
  }
  fs::path directory_;
};

TEST_F(IdentityTest, LoadsWhatWasSavedAndKeysAreForTheOwnerOnly) {
  const Identity made = Identity::make("Alice Ltd");
  made.save(directory_);
  const Identity loaded = Identity::load(directory_);
  EXPECT_EQ(loaded.name(), "Alice Ltd");
  EXPECT_EQ(loaded.fingerprint(), made.fingerprint());
  EXPECT_EQ(loaded.signing_key(), made.signing_key());
  EXPECT_EQ(mode_of(directory_), 0700u);
  EXPECT_EQ(mode_of(directory_ / "member.key"), 0600u);
  EXPECT_EQ(mode_of(directory_ / "tls.key"), 0600u);
  EXPECT_GT(loaded.not_after(), std::time(nullptr) + 9L * 365 * 24 * 3600);
}

TEST_F(IdentityTest, IsNeverOverwritten) {
  const Identity first = Identity::make("a");
  first.save(directory_);
  EXPECT_THROW(Identity::make("b").save(directory_), InputError);
  EXPECT_EQ(Identity::load(directory_).fingerprint(), first.fingerprint());
}

TEST_F(IdentityTest, RefusesKeysThatOthersCanRead) {
  Identity::make("a").save(directory_);
  fs::permissions(directory_ / "tls.key", fs::perms::group_read, fs::perm_options::add);
  EXPECT_THROW(Identity::load(directory_), InputError);
}

TEST_F(IdentityTest, APipeIsNoPartOfIt) {
  Identity::make("a").save(directory_);
  for (const char* name : {"member.key", "tls.key", "tls.crt"}) {
    const fs::path kept = directory_ / "kept";
    fs::rename(directory_ / name, kept);
    ASSERT_EQ(mkfifo((directory_ / name).c_str(), 0600), 0);  // and nothing waits for a writer
    try {
      (void)Identity::load(directory_);
      ADD_FAILURE() << name;
    } catch (const InputError& error) {
      EXPECT_EQ(error.place(), (directory_ / name).string());
      EXPECT_EQ(error.problem(), "is not a file");
    }
    fs::rename(kept, directory_ / name);
  }
}

// It says which signing key is this member's.
TEST_F(IdentityTest, RefusesACertificateThatOthersCanChange) {
  Identity::make("a").save(directory_);
  fs::permissions(directory_ / "tls.crt", fs::perms::others_write, fs::perm_options::add);
  EXPECT_THROW(Identity::load(directory_), InputError);
}

TEST_F(IdentityTest, RefusesAMixOfTwoIdentities) {
  Identity::make("a").save(directory_);
  const fs::path other = directory_.parent_path() / "other";
  Identity::make("b").save(other);
  fs::copy_file(other / "member.key", directory_ / "member.key",
                fs::copy_options::overwrite_existing);
  EXPECT_THROW(Identity::load(directory_), InputError);
  fs::copy_file(other / "tls.key", directory_ / "tls.key", fs::copy_options::overwrite_existing);
  EXPECT_THROW(Identity::load(directory_), InputError);
  fs::copy_file(other / "tls.crt", directory_ / "tls.crt", fs::copy_options::overwrite_existing);
  EXPECT_EQ(Identity::load(directory_).name(), "b");
}

TEST_F(IdentityTest, TheCertificateFixesTheSigningKey) {
  const Identity a = Identity::make("a");
  EXPECT_EQ(signing_key_of(a.certificate_der(), "test"), a.signing_key());
  Bytes der(a.certificate_der().begin(), a.certificate_der().end());
  const auto at =
      std::search(der.begin(), der.end(), a.signing_key().begin(), a.signing_key().end());
  ASSERT_NE(at, der.end());
  *at ^= 1;
  EXPECT_THROW(signing_key_of(der, "test"), InputError);
}

TEST_F(IdentityTest, SignaturesAreBoundToTheirDomain) {
  const Identity a = Identity::make("a");
  const Signature signature = a.sign("proposal", as_bytes("text"));
  EXPECT_TRUE(verify(a.signing_key(), "proposal", as_bytes("text"), signature));
  EXPECT_FALSE(verify(a.signing_key(), "log", as_bytes("text"), signature));
  EXPECT_FALSE(verify(a.signing_key(), "proposal", as_bytes("texu"), signature));
  EXPECT_FALSE(verify(a.signing_key(), "proposaltext", as_bytes(""), signature));
  EXPECT_FALSE(verify(Identity::make("a").signing_key(), "proposal", as_bytes("text"), signature));
}

TEST_F(IdentityTest, FingerprintsReadBackAndNonsenseIsRefused) {
  const Identity a = Identity::make("a");
  EXPECT_EQ(parse_fingerprint(fingerprint_text(a.fingerprint()), "test"), a.fingerprint());
  EXPECT_EQ(parse_fingerprint(to_hex(a.fingerprint()), "test"), a.fingerprint());
  EXPECT_THROW(parse_fingerprint("12:34", "test"), InputError);
  EXPECT_THROW(parse_fingerprint(std::string(64, 'g'), "test"), InputError);
  EXPECT_THROW(Identity::make(""), InputError);
  EXPECT_THROW(Identity::make("line\nbreak"), InputError);
}

}  // namespace
}  // namespace flexroom::net
