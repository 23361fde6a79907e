#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "support/tcp_members.h"

// Other people's TLS servers as processes, and a few lines that play one that is no server at all.
namespace flexroom::interop {

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}
inline void write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path) << text;
}

inline bool have_program(const std::string& name) {
  return std::system(("command -v " + name + " >/dev/null 2>&1").c_str()) == 0;
}

/// A folder with a private CA, made with the openssl program: NAME.pem (chain, leaf first),
/// NAME.key for NAME of ec, rsa (good), expired, wrong-name, wrong-eku, no-eku, no-signature,
/// authority, excluded, self-signed; ec-and-more.pem, a chain with certificates that it does not
/// need; root.pem, other-root.pem; small.txt and big.txt to serve.
class Workshop {
 public:
  static constexpr const char* kHost = "api.example";
  static constexpr size_t kBigBytes = 40000;

  Workshop() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "flexroom-interop-XXXXXX").string();
    FLEXROOM_ASSERT(::mkdtemp(pattern.data()) != nullptr);
    directory_ = pattern;
    // Some servers read their files as another user. The keys in here are worth nothing.
    std::filesystem::permissions(directory_, std::filesystem::perms(0755));
    write_file(directory_ / "make.sh", R"(set -e
key() { case $1 in rsa) openssl genrsa -out $2.key 2048;; *) openssl ecparam -name prime256v1 -genkey -noout -out $2.key;; esac; }
root() { key ec $1; openssl req -x509 -new -key $1.key -subj "/CN=$1" -days 30 -out $1.pem \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign; }
root root; root other-root
key ec middle; openssl req -new -key middle.key -subj /CN=middle -out middle.csr
printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n' > ca.ext
openssl x509 -req -in middle.csr -CA root.pem -CAkey root.key -CAcreateserial -days 30 -extfile ca.ext -out middle.pem
# leaf NAME KEY SAN EKU DAYS
leaf() { key $2 $1; openssl req -new -key $1.key -subj "/CN=$1" -out $1.csr
  printf "basicConstraints=critical,CA:FALSE\nsubjectAltName=DNS:$3\nextendedKeyUsage=$4\n" > $1.ext
  openssl x509 -req -in $1.csr -CA middle.pem -CAkey middle.key -CAcreateserial -days $5 -extfile $1.ext -out $1.leaf
  cat $1.leaf middle.pem > $1.pem; }
leaf ec ec api.example serverAuth 10
leaf rsa rsa api.example serverAuth 10
leaf expired ec api.example serverAuth -1
leaf wrong-name ec other.example serverAuth 10
leaf wrong-eku ec api.example clientAuth 10
# odd NAME ISSUER LINES: a leaf with other extensions
odd() { key ec $1; openssl req -new -key $1.key -subj "/CN=$1" -out $1.csr
  printf "$3" > $1.ext
  openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -CAcreateserial -days 10 -extfile $1.ext -out $1.leaf
  cat $1.leaf $2.pem > $1.pem; }
end='basicConstraints=critical,CA:FALSE\nsubjectAltName=DNS:api.example\n'
odd no-eku middle "$end"
odd no-signature middle "${end}extendedKeyUsage=serverAuth\nkeyUsage=critical,keyAgreement\n"
odd authority middle 'basicConstraints=critical,CA:TRUE\nsubjectAltName=DNS:api.example\nextendedKeyUsage=serverAuth\n'
odd narrow root 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nnameConstraints=critical,excluded;DNS:bad.example\n'
cp narrow.leaf narrow.pem
odd excluded narrow 'basicConstraints=critical,CA:FALSE\nsubjectAltName=DNS:api.example,DNS:*.example\nextendedKeyUsage=serverAuth\n'
cat ec.pem other-root.pem root.pem rsa.pem > ec-and-more.pem
key ec self-signed
openssl req -x509 -new -key self-signed.key -subj /CN=api.example -days 10 -out self-signed.pem \
  -addext subjectAltName=DNS:api.example -addext basicConstraints=critical,CA:FALSE -addext extendedKeyUsage=serverAuth
)");
    const std::string command = "cd '" + directory_.string() + "' && sh make.sh >make.log 2>&1";
    if (std::system(command.c_str()) != 0) problem_ = read_file(directory_ / "make.log");
    write_file(directory_ / "small.txt", "small answer\n");
    std::string big;
    while (big.size() < kBigBytes) big += "line " + std::to_string(big.size()) + "\n";
    big.resize(kBigBytes);
    write_file(directory_ / "big.txt", big);
  }
  ~Workshop() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;

  const std::filesystem::path& directory() const { return directory_; }
  std::string file(const std::string& name) const { return (directory_ / name).string(); }
  /// Why the certificates could not be made, or empty.
  const std::string& problem() const { return problem_; }

 private:
  std::filesystem::path directory_;
  std::string problem_;
};

inline uint16_t free_port() {
  const auto [fd, port] = support::listen_on_loopback();
  ::close(fd);
  return port;
}

/// A server program in a process group of its own, started in the workshop's folder and killed at
/// the end.
class ServerProcess {
 public:
  /// `command` gets the port.
  ServerProcess(const Workshop& workshop,
                const std::function<std::vector<std::string>(uint16_t port)>& command)
      : log_(workshop.file("server.log")) {
    for (int attempt = 0; attempt < 3 && !ready_; ++attempt) start(workshop, command);
  }
  ~ServerProcess() { stop(); }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  bool ready() const { return ready_; }
  uint16_t port() const { return port_; }
  std::string log() const { return read_file(log_); }

 private:
  void start(const Workshop& workshop,
             const std::function<std::vector<std::string>(uint16_t)>& command) {
    port_ = free_port();
    std::vector<std::string> words = command(port_);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const std::string directory = workshop.directory().string();
    pid_ = ::fork();
    FLEXROOM_ASSERT(pid_ >= 0);
    if (pid_ == 0) {
      ::setpgid(0, 0);
      const int log = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      const int null = ::open("/dev/null", O_RDONLY);
      ::dup2(null, 0);
      ::dup2(log, 1);
      ::dup2(log, 2);
      if (::chdir(directory.c_str()) == 0) ::execvp(argv[0], argv.data());
      ::_exit(127);
    }
    ::setpgid(pid_, pid_);
    for (int k = 0; k < 4800; ++k) {  // two minutes, while it lives
      if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
        pid_ = -1;
        return;  // it ended: the port was taken, perhaps
      }
      const int fd = support::connect_to_loopback(port_);
      if (fd >= 0) {
        ::close(fd);
        ready_ = true;
        return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(25));
    }
    stop();
  }
  void stop() {
    if (pid_ <= 0) return;
    ::kill(-pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

  std::string log_;
  pid_t pid_ = -1;
  uint16_t port_ = 0;
  bool ready_ = false;
};

/// Accepts one connection, reads what comes first and answers with `reply` of it; then keeps the
/// connection open until it is destroyed.
class ScriptedServer {
 public:
  explicit ScriptedServer(std::function<Bytes(const Bytes& first)> reply) {
    const auto [fd, port] = support::listen_on_loopback();
    listener_ = fd;
    port_ = port;
    thread_ = std::thread([this, reply = std::move(reply)] {
      connection_ = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection_ < 0) return;
      Bytes first(4096);
      const ssize_t n = ::recv(connection_, first.data(), first.size(), 0);
      if (n <= 0) return;
      first.resize(static_cast<size_t>(n));
      const Bytes answer = reply(first);
      (void)!::send(connection_, answer.data(), answer.size(), MSG_NOSIGNAL);
    });
  }
  ~ScriptedServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
    if (connection_ >= 0) ::close(connection_);
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;
  uint16_t port() const { return port_; }

 private:
  int listener_ = -1;
  std::atomic<int> connection_ = -1;
  uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace flexroom::interop
