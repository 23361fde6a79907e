#include <unistd.h>

#include "interop/agent_calls.h"

// The secure agent against stacks that Debian offers: OpenSSL behind eight servers, and the TLS of
// NSS, picotls (h2o) and Go (Caddy); GnuTLS, nginx and Node have tests of their own. Then servers
// that stream and flush as frameworks do, and that do what they should not.

namespace flexroom::agent {
namespace {

using interop::have_program;
using interop::ServerProcess;
using interop::write_file;

struct Stack {
  std::string program;  // that must be there
  /// Writes what it needs into the workshop and gives the command line.
  std::function<std::vector<std::string>(const interop::Workshop&, uint16_t)> command;
  std::string path = "/small.txt";
  std::string body = "small answer";
};

std::string at(uint16_t port) { return "127.0.0.1:" + std::to_string(port); }

// Servers that want another user when root starts them.
bool is_root() { return ::geteuid() == 0; }

std::vector<std::string> apache(const interop::Workshop& w, uint16_t port) {
  const std::string d = w.directory().string();
  write_file(w.directory() / "apache.conf",
             "ServerRoot " + d + "\nServerName api.example\nPidFile " + d +
                 "/apache.pid\nDefaultRuntimeDir " + d + "\nErrorLog " + d + "/apache.err\n" +
                 "LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\n"
                 "LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\n"
                 "LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so\n"
                 "Listen " +
                 at(port) + "\n" + (is_root() ? "User www-data\nGroup www-data\n" : "") +
                 "<VirtualHost *>\nSSLEngine on\nSSLProtocol TLSv1.3\nSSLCertificateFile ec.pem\n"
                 "SSLCertificateKeyFile ec.key\nDocumentRoot " +
                 d + "\n</VirtualHost>\n");
  return {"apache2", "-d", d, "-f", d + "/apache.conf", "-D", "FOREGROUND"};
}

std::vector<std::string> lighttpd(const interop::Workshop& w, uint16_t port) {
  const std::string d = w.directory().string();
  write_file(w.directory() / "lighttpd.conf",
             "server.document-root = \"" + d +
                 "\"\nserver.bind = \"127.0.0.1\"\nserver.port = " + std::to_string(port) +
                 "\nserver.modules = (\"mod_openssl\")\nserver.errorlog = \"" + d +
                 "/lighttpd.err\"\nssl.engine = \"enable\"\nssl.pemfile = \"" + d +
                 "/ec.pem\"\nssl.privkey = \"" + d + "/ec.key\"\n");
  return {"lighttpd", "-D", "-f", d + "/lighttpd.conf"};
}

std::vector<std::string> haproxy(const interop::Workshop& w, uint16_t port) {
  const std::string d = w.directory().string();
  write_file(w.directory() / "both.pem",
             interop::read_file(w.file("ec.pem")) + interop::read_file(w.file("ec.key")));
  write_file(w.directory() / "haproxy.cfg",
             "defaults\n  mode http\n  timeout client 20s\n  timeout server 20s\n"
             "  timeout connect 5s\nfrontend f\n  bind " +
                 at(port) + " ssl crt " + d + "/both.pem alpn http/1.1\n" +
                 "  http-request return status 200 content-type text/plain file " + d +
                 "/small.txt\n");
  return {"haproxy", "-db", "-f", d + "/haproxy.cfg"};
}

// A backend in the clear, and a TLS proxy in front of it: `front` gets both ports.
std::vector<std::string> proxied(const interop::Workshop& w, uint16_t port,
                                 const std::function<std::string(uint16_t backend)>& front) {
  const uint16_t backend = interop::free_port();
  write_file(w.directory() / ("proxied-" + std::to_string(port) + ".sh"),
             "python3 -m http.server --bind 127.0.0.1 " + std::to_string(backend) + " &\n" +
                 "until python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", " +
                 std::to_string(backend) + "))' 2>/dev/null; do sleep 0.1; done\n" +
                 front(backend) + "\n");
  return {"sh", w.file("proxied-" + std::to_string(port) + ".sh")};
}

std::vector<std::string> stunnel(const interop::Workshop& w, uint16_t port) {
  return proxied(w, port, [&](uint16_t backend) {
    const std::string d = w.directory().string();
    write_file(w.directory() / "stunnel.conf",
               "foreground = yes\npid =\n[s]\naccept = " + at(port) + "\nconnect = " + at(backend) +
                   "\ncert = " + d + "/ec.pem\nkey = " + d + "/ec.key\n");
    return "exec stunnel4 " + d + "/stunnel.conf";
  });
}

std::vector<std::string> hitch(const interop::Workshop& w, uint16_t port) {
  return proxied(w, port, [&](uint16_t backend) {
    write_file(w.directory() / "hitch.pem",
               interop::read_file(w.file("ec.pem")) + interop::read_file(w.file("ec.key")));
    return "exec hitch --backend='[127.0.0.1]:" + std::to_string(backend) +
           "' --frontend='[127.0.0.1]:" + std::to_string(port) + "' --tls-protos=TLSv1.3 " +
           (is_root() ? "--user=nobody " : "") + w.file("hitch.pem");
  });
}

std::vector<std::string> h2o(const interop::Workshop& w, uint16_t port) {
  const std::string d = w.directory().string();
  write_file(w.directory() / "h2o.conf",
             std::string(is_root() ? "user: nobody\n" : "") +
                 "listen:\n  host: 127.0.0.1\n  port: " + std::to_string(port) +
                 "\n  ssl:\n    certificate-file: " + d + "/ec.pem\n    key-file: " + d +
                 "/ec.key\n    minimum-version: TLSv1.3\n    ocsp-update-interval: 0\n"
                 "hosts:\n  default:\n    paths:\n      /:\n        file.dir: " +
                 d + "\n");
  return {"h2o", "-c", d + "/h2o.conf"};
}

std::vector<std::string> selfserv(const interop::Workshop& w, uint16_t port) {
  write_file(
      w.directory() / "nss.sh",
      "set -e\nrm -rf nss\nmkdir nss\ncertutil -N -d nss --empty-password\n"
      "openssl pkcs12 -export -in ec.pem -inkey ec.key -name srv -out ec.p12 -passout pass:x\n"
      "pk12util -i ec.p12 -d nss -W x\n"
      "exec selfserv -d nss -n srv -p " +
          std::to_string(port) + " -V tls1.3:tls1.3 -I x25519\n");
  return {"sh", w.file("nss.sh")};
}

std::vector<std::string> caddy_with(const interop::Workshop& w, uint16_t port,
                                    const std::string& tls) {
  const std::string d = w.directory().string();
  write_file(w.directory() / "Caddyfile",
             "{\n  admin off\n  auto_https off\n  skip_install_trust\n}\nhttps://api.example:" +
                 std::to_string(port) + " {\n  bind 127.0.0.1\n  tls " + d + "/ec.pem " + d +
                 "/ec.key" + tls + "\n  root * " + d + "\n  file_server\n}\n");
  return {"env",      "HOME=" + d,      "caddy",     "run",
          "--config", d + "/Caddyfile", "--adapter", "caddyfile"};
}

std::vector<std::string> caddy(const interop::Workshop& w, uint16_t port) {
  return caddy_with(w, port, "");
}

class Stacks : public AgentInterop, public ::testing::WithParamInterface<Stack> {};

TEST_P(Stacks, AnswerTheMembers) {
  const Stack& stack = GetParam();
  ASSERT_TRUE(have_program(stack.program)) << stack.program << ": " << kMissing;
  ServerProcess server(*workshop_, [&](uint16_t port) { return stack.command(*workshop_, port); });
  ASSERT_TRUE(server.ready()) << server.log();
  Call what;
  what.path = stack.path;
  expect_answer(server.port(), what, stack.body);
  for (const char* suite : {"chacha20", "aes256"}) {  // another suite, alone in the hello
    what.suite = suite;
    expect_answer(server.port(), what, stack.body);
  }
}

INSTANTIATE_TEST_SUITE_P(Debian, Stacks,
                         ::testing::Values(Stack{"apache2", apache}, Stack{"lighttpd", lighttpd},
                                           Stack{"haproxy", haproxy}, Stack{"stunnel4", stunnel},
                                           Stack{"hitch", hitch}, Stack{"h2o", h2o},
                                           Stack{"selfserv", selfserv, "/", "GET / HTTP/1.1"},
                                           Stack{"caddy", caddy}),
                         [](const auto& stack) { return stack.param.program; });

// Go's TLS: a HelloRetryRequest, and a request for a client certificate in the same handshake.
TEST_F(AgentInterop, GoAsksForP256AndForAClientCertificate) {
  ASSERT_TRUE(have_program("caddy")) << kMissing;
  ServerProcess server(*workshop_, [&](uint16_t port) {
    return caddy_with(
        *workshop_, port,
        " {\n    curves secp256r1\n    client_auth {\n      mode request\n    }\n  }");
  });
  ASSERT_TRUE(server.ready()) << server.log();
  Call what;
  what.client_auth = tls::ClientAuth::kNone;
  expect_answer(server.port(), what, "small answer");
  expect_refusal(server.port(), {}, "client_auth = \"none\"");
}

/// The JDK's own HTTPS server, which asks for a client certificate where `wants` is true.
std::vector<std::string> java(const interop::Workshop& w, uint16_t port, const std::string& group,
                              bool wants) {
  write_file(w.directory() / "Server.java",
             "import com.sun.net.httpserver.*;\n"
             "import java.io.*;\n"
             "import java.net.*;\n"
             "import java.security.*;\n"
             "import javax.net.ssl.*;\n"
             "public class Server {\n"
             "  public static void main(String[] args) throws Exception {\n"
             "    KeyStore keys = KeyStore.getInstance(\"PKCS12\");\n"
             "    keys.load(new FileInputStream(\"java.p12\"), \"x\".toCharArray());\n"
             "    KeyManagerFactory factory = KeyManagerFactory.getInstance(\"SunX509\");\n"
             "    factory.init(keys, \"x\".toCharArray());\n"
             "    SSLContext context = SSLContext.getInstance(\"TLSv1.3\");\n"
             "    context.init(factory.getKeyManagers(), null, null);\n"
             "    HttpsServer server = HttpsServer.create(\n"
             "        new InetSocketAddress(\"127.0.0.1\", Integer.parseInt(args[0])), 0);\n"
             "    server.setHttpsConfigurator(new HttpsConfigurator(context) {\n"
             "      public void configure(HttpsParameters parameters) {\n"
             "        SSLParameters own = context.getDefaultSSLParameters();\n"
             "        own.setProtocols(new String[] {\"TLSv1.3\"});\n"
             "        own.setWantClientAuth(args[1].equals(\"wants\"));\n"
             "        parameters.setSSLParameters(own);\n"
             "      }\n"
             "    });\n"
             "    server.createContext(\"/\", exchange -> {\n"
             "      byte[] text = \"small answer\".getBytes();\n"
             "      exchange.sendResponseHeaders(200, text.length);\n"
             "      exchange.getResponseBody().write(text);\n"
             "      exchange.close();\n"
             "    });\n"
             "    server.start();\n"
             "  }\n"
             "}\n");
  write_file(w.directory() / "java.sh",
             "set -e\nopenssl pkcs12 -export -in ec.pem -inkey ec.key -name srv -out java.p12 "
             "-passout pass:x\nexec java -Djdk.tls.namedGroups=" +
                 group + " Server.java " + std::to_string(port) +
                 (wants ? " wants\n" : " silent\n"));
  return {"sh", w.file("java.sh")};
}

TEST_F(AgentInterop, JavaTakesX25519AndAsksForP256AndForAClientCertificate) {
  ASSERT_TRUE(have_program("java")) << kMissing;
  for (const bool wants : {false, true}) {
    ServerProcess server(*workshop_, [&](uint16_t port) {
      return java(*workshop_, port, wants ? "secp256r1" : "x25519", wants);
    });
    ASSERT_TRUE(server.ready()) << server.log();
    Call what;
    if (wants) what.client_auth = tls::ClientAuth::kNone;
    expect_answer(server.port(), what, "small answer");
    what.suite = "aes256";
    expect_answer(server.port(), what, "small answer");
  }
}

// --- Frameworks as they are: an answer that is written in three parts --------------------------

std::vector<std::string> node(const interop::Workshop& w, uint16_t port) {
  write_file(w.directory() / "streams.js",
             "const fs=require('fs');require('https').createServer({cert:fs.readFileSync('ec.pem'),"
             "key:fs.readFileSync('ec.key'),minVersion:'TLSv1.3'},(q,r)=>{"
             "r.write('small');setTimeout(()=>{r.write(' ');r.end('answer')},50)}).listen(" +
                 std::to_string(port) + ",'127.0.0.1')");
  return {"node", "streams.js"};
}

std::vector<std::string> tornado(const interop::Workshop& w, uint16_t port) {
  write_file(w.directory() / "streams_tornado.py",
             "import asyncio, ssl, tornado.httpserver, tornado.web\n"
             "class Streams(tornado.web.RequestHandler):\n"
             "    async def get(self):\n"
             "        for word in ('small', ' ', 'answer'):\n"
             "            self.write(word)\n"
             "            await self.flush()\n"
             "context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)\n"
             "context.load_cert_chain('ec.pem', 'ec.key')\n"
             "async def main():\n"
             "    app = tornado.web.Application([('/.*', Streams)])\n"
             "    app.listen(" +
                 std::to_string(port) +
                 ", '127.0.0.1', ssl_options=context)\n"
                 "    await asyncio.Event().wait()\n"
                 "asyncio.run(main())\n");
  return {"/usr/bin/python3", "streams_tornado.py"};
}

std::vector<std::string> aiohttp(const interop::Workshop& w, uint16_t port) {
  write_file(w.directory() / "streams_aiohttp.py",
             "import ssl\nfrom aiohttp import web\n"
             "async def streams(request):\n"
             "    answer = web.StreamResponse()\n"
             "    await answer.prepare(request)\n"
             "    for word in (b'small', b' ', b'answer'):\n"
             "        await answer.write(word)\n"
             "    await answer.write_eof()\n"
             "    return answer\n"
             "context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)\n"
             "context.load_cert_chain('ec.pem', 'ec.key')\n"
             "app = web.Application()\n"
             "app.router.add_get('/{any:.*}', streams)\n"
             "web.run_app(app, host='127.0.0.1', port=" +
                 std::to_string(port) + ", ssl_context=context, print=None)\n");
  return {"/usr/bin/python3", "streams_aiohttp.py"};
}

std::vector<std::string> flask(const interop::Workshop& w, uint16_t port) {
  write_file(w.directory() / "streams_flask.py",
             "from flask import Flask, Response\n"
             "app = Flask(__name__)\n"
             "@app.get('/<path:any>')\n"
             "def streams(any):\n"
             "    return Response(word for word in ('small', ' ', 'answer'))\n");
  return {"gunicorn",  "--bind", at(port),  "--certfile",           "ec.pem",
          "--keyfile", "ec.key", "--chdir", w.directory().string(), "streams_flask:app"};
}

struct Streaming {
  std::string name;
  std::vector<std::string> (*command)(const interop::Workshop&, uint16_t);
};

class Streams : public AgentInterop, public ::testing::WithParamInterface<Streaming> {};

TEST_P(Streams, ArriveWhole) {
  ServerProcess server(*workshop_,
                       [&](uint16_t port) { return GetParam().command(*workshop_, port); });
  ASSERT_TRUE(server.ready()) << server.log() << "\n" << kMissing;
  expect_answer(server.port(), {}, "small answer");
}

INSTANTIATE_TEST_SUITE_P(Debian, Streams,
                         ::testing::Values(Streaming{"node", node}, Streaming{"tornado", tornado},
                                           Streaming{"aiohttp", aiohttp},
                                           Streaming{"flask", flask}),
                         [](const auto& one) { return one.param.name; });

// --- What servers do beside that ----------------------------------------------------------------

/// Python's ssl module with a few lines that answer by the path: what frameworks do with their
/// writes, each a record of its own, and what no server should do.
class Framework : public AgentInterop {
 protected:
  void SetUp() override {
    AgentInterop::SetUp();
    ASSERT_TRUE(have_program("python3")) << kMissing;
    write_file(workshop_->directory() / "framework.py", R"py(
import socket, ssl, sys, time
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.minimum_version = ssl.TLSVersion.TLSv1_3
context.load_cert_chain('ec.pem', 'ec.key')
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))
CHUNKED = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'

def chunk(write, data):
    write(b'%x' % len(data)); write(b'\r\n')
    write(data); write(b'\r\n')

def flushes(write, _):
    write(CHUNKED)
    for word in (b'small', b' ', b'answer'): chunk(write, word)
    write(b'0'); write(b'\r\n'); write(b'\r\n')

def bytewise(write, _):
    for byte in CHUNKED + b'c\r\nsmall answer\r\n0\r\n\r\n': write(bytes([byte]))

def decorated(write, _):
    write(b'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n')
    write(b'HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n')
    write(b'00000c;name="v;w"\r\nsmall answer\r\n000\r\nX-Sum: 1\r\n\r\n')

def stays(write, connection):
    write(b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nsmall answer')
    connection.settimeout(60)
    connection.recv(1)

def slow(write, _):
    time.sleep(12)  # behind the tickets
    write(b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nsmall answer')

def two(write, _):
    write(b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nsmall answer' * 2)

def short(write, _):
    write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsmall answer')

def zipped(write, _):
    write(b'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\nsmall answer')

def smuggled(write, _):
    write(b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n' + CHUNKED[17:] + b'c\r\nsmall answer\r\n0\r\n\r\n')

while True:
    raw, _ = listener.accept()
    try:
        connection = context.wrap_socket(raw, server_side=True)
        raw = connection.recv(65536)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        globals()[raw.split(b' ')[1][1:].decode()](connection.sendall, connection)
        connection.unwrap()
    except (OSError, ssl.SSLError, IndexError, KeyError):
        pass
    finally:
        raw = None
        try: connection.close()
        except Exception: pass
)py");
    server_ = std::make_unique<ServerProcess>(*workshop_, [](uint16_t port) {
      return std::vector<std::string>{"python3", "framework.py", std::to_string(port)};
    });
    ASSERT_TRUE(server_->ready()) << server_->log();
  }
  void TearDown() override { server_.reset(); }

  static Call call_of(const std::string& path) {
    Call what;
    what.path = path;
    return what;
  }
  void expect_unknown(const std::string& path, const std::string& why) {
    const Answer answer = call_port(server_->port(), call_of(path));
    for (const auto& outcome : answer.run.outcomes) {
      ASSERT_TRUE(outcome.value.has_value()) << path << ": " << outcome.abort->what();
      EXPECT_THAT(outcome.value->unknown_outcome.value_or(""), ::testing::HasSubstr(why)) << path;
      EXPECT_THAT(to_text(outcome.value->partial.body()), ::testing::HasSubstr("small answer"));
      EXPECT_EQ(outcome.value->partial.status_line, "HTTP/1.1 200 OK");
    }
  }

  std::unique_ptr<ServerProcess> server_;
};

TEST_F(Framework, StreamsAndFlushesArriveWhole) {
  for (const char* path : {"/flushes", "/bytewise", "/decorated"}) {
    SCOPED_TRACE(path);
    expect_answer(server_->port(), call_of(path), "small answer");
  }
}

TEST_F(Framework, AServerThatStaysConnectedIsNotWaitedForToTheEnd) {
  expect_answer(server_->port(), call_of("/stays"), "small answer");
}

// Longer than the silence that ends an answer: the session tickets are no answer yet.
TEST_F(Framework, ASlowAnswerBehindTicketsIsAwaited) {
  expect_answer(server_->port(), call_of("/slow"), "small answer");
}

TEST_F(Framework, WhatIsNoAnswerIsKept) {
  expect_unknown("/two", "after its response");
  expect_unknown("/short", "not whole");
  expect_unknown("/zipped", "gzip");
  expect_unknown("/smuggled", "Content-Length and Transfer-Encoding");
}

}  // namespace
}  // namespace flexroom::agent
