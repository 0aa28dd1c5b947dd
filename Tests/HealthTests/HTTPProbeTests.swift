import DNSWire
import NIOCore
import NIOHTTP1
import Testing

@testable import Health

private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

extension Alone {
    struct HTTPProbeTests {
        @Test(
            "an http probe says what it saw",
            arguments: [
                ("", ok, "status 200"),
                ("", "HTTP/1.0 204 No Content\r\n\r\n", "status 204"),
                ("", "HTTP/1.1 503 Busy\r\n\r\n", "status: 503, expected 200-299"),
                ("", "HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n", "status: 301, expected 200-299"),
                (
                    "expect: {status: [200, 301]}",
                    "HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n",
                    "status 301"
                ),
                (
                    "expect: {status: [200, 300-399]}", "HTTP/1.1 404 No\r\n\r\n",
                    "status: 404, expected 200, 300-399"
                ),
                // Interim responses come before the answer.
                ("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok, "status 200"),
                ("expect: {body: ok}", ok, "status 200, body has \"ok\""),
                (
                    "expect: {body: ok}", "HTTP/1.1 200 OK\r\n\r\nall is ok",
                    "status 200, body has \"ok\""
                ),
                (
                    "expect: {body: ok}",
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
                    "status 200, body has \"ok\""
                ),
                ("expect: {body: fine}", ok, "body: \"fine\" not in the 2 octets of it"),
                // Digits before the text are text, and no weight or status.
                (
                    "expect: {body: ok}", "HTTP/1.1 200 OK\r\n\r\n0 busy, ok",
                    "status 200, body has \"ok\""
                ),
                (
                    "expect: {body: ok}", "HTTP/1.1 200 OK\r\n\r\n200",
                    "body: \"ok\" not in the 3 octets of it"
                ),
                (
                    "expect: {body: ok}", "HTTP/1.1 204 No Content\r\n\r\n",
                    "body: \"ok\" not in the 0 octets of it"
                ),
                (
                    "expect: {body: ok}", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nno",
                    "body: connection closed by the origin before a whole response"
                ),
                (
                    "expect: {body: ok}",
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                    "body: malformed HTTP response, a bad chunk size"
                ),
                (
                    "expect: {body: \"all\\nis well and so is everything else that matters\"}", ok,
                    "body: \"all is well and so is everything else th…\" not in the 2 octets of it"
                ),
                (
                    "expect: {matches: '^o[jk]$'}", ok, "status 200, body has /^o[jk]$/"
                ),
                // The end of what is looked at is not that of the body.
                (
                    "expect: {matches: 'x$'}",
                    "HTTP/1.1 200 OK\r\n\r\n" + String(repeating: "x", count: 65_536),
                    "status 200, body has /x$/"
                ),
                (
                    "expect: {matches: 'x$'}",
                    "HTTP/1.1 200 OK\r\n\r\n" + String(repeating: "x", count: 65_537),
                    "body: /x$/ not in the first 65536 octets"
                ),
                (
                    "expect: {matches: '^k'}", ok, "body: /^k/ not in the 2 octets of it"
                ),
                (
                    "expect: {headers: {x-ready: \"yes\", Content-Length: null}}",
                    "HTTP/1.1 200 OK\r\nX-Ready: oh yes\r\nContent-Length: 0\r\n\r\n", "status 200"
                ),
                (
                    "expect: {headers: {X-Ready: \"yes\"}}",
                    "HTTP/1.1 200 OK\r\nX-Ready: no\r\n\r\n",
                    "status: 200, header X-Ready is \"no\", expected \"yes\""
                ),
                (
                    "expect: {headers: {X-Ready:  }}", ok,
                    "status: 200, header X-Ready is missing"
                ),
                ("method: HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "status 200"),
                (
                    "", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
                    "status: malformed HTTP response, a bad Content-Length"
                ),
                ("", "220 mail.test ESMTP\r\n", "status: the response is not HTTP/1"),
                ("", "HTTP/3.1 200 OK\r\n\r\n", "status: the response is not HTTP/1"),
                (
                    "", "HTTP/1.1 200 OK\r\nA: \(String(repeating: "x", count: 20_000))\r\n\r\n",
                    "status: headers of more than 16384 octets"
                ),
                (
                    "", "HTTP/1.1 200 OK\r\nA",
                    "status: connection closed by the origin before a whole response"
                ),
            ])
        func responses(keys: String, response: String, expected: String) async throws {
            let yaml = keys.isEmpty ? "type: http" : "type: http, \(keys)"
            #expect(try await outcome(yaml, against: .answer(response)).text == expected)
        }

        @Test(
            "the request is what a server needs: Host with the port, and the end of the connection")
        func request() throws {
            let named = try monitor("{type: http, host: a.test, path: /z?q=1, port: 8080}").probe
            let head = try #require(named as? HTTPProbe).exchange.head(for: "192.0.2.1")
            #expect(head.uri == "/z?q=1" && head.method == .GET && head.version == .http1_1)
            #expect(head.headers["Host"] == ["a.test:8080"])
            #expect(head.headers["Connection"] == ["close"])
            let plain = try #require(try monitor("{type: http}").probe as? HTTPProbe).exchange
            let request = plain.request
            #expect(request.authority(for: "127.0.0.1") == "127.0.0.1")
            #expect(request.authority(for: "2001:db8::1") == "[2001:db8::1]")
            #expect(request.authority(for: "eu.lb.test") == "eu.lb.test")
        }

        @Test("header fields of a monitor go beside or in place of the usual ones")
        func fields() throws {
            let yaml =
                "{type: http, method: POST, body: '{}', headers: {user-agent: me, Content-Type: a/b}}"
            let exchange = try #require(try monitor(yaml).probe as? HTTPProbe).exchange
            let head = exchange.head(for: "192.0.2.1")
            #expect(head.method == .POST && head.headers["Content-Length"] == ["2"])
            #expect(head.headers["User-Agent"] == ["me"] && head.headers["Accept"] == ["*/*"])
            #expect(head.headers["content-type"] == ["a/b"])
        }

        @Test(
            "a redirect leads to a path of this server, or nowhere",
            arguments: [
                ("/b", "/b"), ("/b?c=d#e", "/b?c=d"), ("b", "/x/b"), ("?q", "/x/y?q"),
                ("http://a.test:8080/b", "/b"), ("HTTP://A.TEST:8080", "/"),
                ("//a.test:8080/b", "/b"), ("http://a.test:8080?q", "/?q"),
                ("http://a.test/b", nil), ("https://a.test:8080/b", nil),
                ("http://b.test:8080/b", nil), ("//b.test", nil), ("/a b", nil),
                ("http://a.test:8080@evil.test/", nil), ("", "/x/"),
            ])
        func redirectTargets(location: String, path: String?) throws {
            let yaml = "{type: http, host: a.test, path: '/x/y?z', port: 8080, redirects: 2}"
            let exchange = try #require(try monitor(yaml).probe as? HTTPProbe).exchange
            let next = exchange.redirected(
                status: 302, to: location, scheme: "http", from: "192.0.2.1")
            #expect(next?.request.path == path)
            #expect(next == nil || next?.redirects == 1)
        }

        @Test(
            "after a POST, 303 and 302 ask with GET, 307 with POST again",
            arguments: [302, 303, 307])
        func redirectMethods(status: Int) throws {
            let yaml = "{type: http, method: POST, body: x, redirects: 1}"
            let exchange = try #require(try monitor(yaml).probe as? HTTPProbe).exchange
            let next = exchange.redirected(
                status: status, to: "/b", scheme: "http", from: "192.0.2.1")
            #expect(next?.method == (status == 307 ? .post : .get))
            #expect(next?.body == (status == 307 ? "x" : nil))
        }

        @Test("redirects are followed so often as the monitor says, and end in a reason")
        func redirects() async throws {
            let loop = "HTTP/1.1 302 Found\r\nLocation: /again\r\n\r\n"
            let server = try await FaultServer(.answer(loop))
            let yaml = "{type: http, redirects: 3, port: \(server.port)}"
            let result = try await probe(monitor(yaml))
            #expect(result.outcome.description == "status: 302, expected 200-299")
            #expect(server.connections == 4 && server.resets == 0)
            server.behaviour = .answer("HTTP/1.1 302 Found\r\nLocation: https://b.test/\r\n\r\n")
            #expect(
                try await probe(monitor(yaml)).outcome.description
                    == "status: 302 to \"https://b.test/\", which is not this server")
            await server.stop()
        }

        @Test("text over the border of two pieces is found, text after 64 KiB is not")
        func bodyBounds() async throws {
            let head = "HTTP/1.1 200 OK\r\n\r\n"
            let split = try await outcome(
                "type: http, expect: {body: needle}",
                against: .drip(head + "xxneedle", every: .microseconds(200)))
            #expect(split.text == "status 200, body has \"needle\"")
            let filler = String(repeating: "x", count: 65_536)
            let late = try await outcome(
                "type: http, expect: {body: needle}", against: .answer(head + filler + "needle"))
            #expect(late.text == "body: \"needle\" not in the first 65536 octets")
            let last = try await outcome(
                "type: http, expect: {body: needle}",
                against: .answer(head + filler.dropLast(6) + "needle" + filler))
            #expect(last.text == "status 200, body has \"needle\"")
        }

        @Test("real servers pass: Python's http.server and nginx")
        func real() async throws {
            let directory = try TemporaryDirectory()
            try directory.write("all is well", to: "healthz")
            let python = try ServerProgram(
                ["python3", "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"],
                in: directory.path, portAfter: "port ")
            defer { python.stop() }
            let nginx = try nginx(in: directory)
            defer { nginx.stop() }
            for (keys, expected) in [
                ("path: /healthz, expect: {body: well}", "status 200, body has \"well\""),
                (
                    "path: /healthz, expect: {matches: 'is \\w+$'}",
                    "status 200, body has /is \\w+$/"
                ),
                ("path: /healthz, method: HEAD", "status 200"),
                ("path: /nothing", "status: 404, expected 200-299"),
            ] {
                for server in [python, nginx] {
                    let yaml = "{type: http, port: \(server.port), \(keys)}"
                    #expect(try await probe(monitor(yaml)).outcome.description == expected)
                }
            }
            for (keys, expected) in [
                ("path: /old, redirects: 1", "status 200"),
                ("path: /old", "status: 301, expected 200-299"),
                ("path: /post, method: POST, body: hello", "status 200"),
                ("path: /post", "status: 403, expected 200-299"),
                ("path: /named, host: a.test, expect: {headers: {X-Host: a.test}}", "status 200"),
                ("path: /named, headers: {X-Key: s3cret}, expect: {status: 202}", "status 202"),
            ] {
                let yaml = "{type: http, port: \(nginx.port), \(keys)}"
                #expect(try await probe(monitor(yaml)).outcome.description == expected, "\(keys)")
            }
        }

        private func nginx(in directory: TemporaryDirectory) throws -> ServerProgram {
            // nginx tells no port of its own choice, so it is given one that was free just now.
            let script = """
                import os, socket
                s = socket.socket(); s.bind(("127.0.0.1", 0)); port = s.getsockname()[1]; s.close()
                here = os.getcwd()
                open("nginx.conf", "w").write(f'''
                daemon off; master_process off; pid {here}/pid; error_log stderr notice; user root;
                events {{}}
                http {{ access_log off; client_body_temp_path {here}/body; proxy_temp_path {here}/p;
                fastcgi_temp_path {here}/f; uwsgi_temp_path {here}/u; scgi_temp_path {here}/s;
                server {{ listen 127.0.0.1:{port}; root {here}; absolute_redirect on;
                location = /old {{ return 301 /healthz; }}
                location = /post {{ if ($request_method != POST) {{ return 403; }} return 200; }}
                location = /named {{ add_header X-Host $host; if ($http_x_key = s3cret) {{ return 202; }}
                return 200; }} }} }}
                ''')
                print("port", port, flush=True)
                os.execvp("/usr/sbin/nginx", ["nginx", "-p", here, "-c", here + "/nginx.conf"])
                """
            try directory.write(script, to: "start.py")
            let server = try ServerProgram(
                ["python3", "-u", "start.py"], in: directory.path, portAfter: "port ")
            try server.waitUntilItListens()
            return server
        }
    }
}
