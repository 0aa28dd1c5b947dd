"""Tests of what scripts/bench computes itself: python3 Tests/Bench/test_bench.py"""
import contextlib, importlib.machinery, importlib.util, io, ipaddress, os, pathlib, re, shutil, struct, subprocess, sys, tempfile, types, unittest
import unittest.mock

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import callgrind, chart, geodata, growth, measure, peers, tables, turns, upheaval, workloads

loader = importlib.machinery.SourceFileLoader("bench", str(peers.ROOT / "scripts/bench"))
bench = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench", loader))
loader.exec_module(bench)

PROFILE = """version: 1
fn=answer
cfn=malloc
calls=3 0
0 30
cfn=swift_retain'2
calls=4 0
0 40
cfn=_swift_release_(n)
calls=9 0
0 40
cfn=swift_release_n
calls=5 0
0 40
cfn=free_text
calls=7 0
0 1
totals: 1234
"""


class Tables(unittest.TestCase):
    def test_text_between_marks_is_replaced_and_nothing_else(self):
        document = "a\n<!-- bench geo -->\nold\n<!-- /bench -->\nb\n<!-- bench geo-60 -->\nkept\n<!-- /bench -->\n"
        new = tables.put(document, "geo", "| 1 \\1 |\n")
        self.assertEqual(new, document.replace("old", "\n| 1 \\1 |\n"))
        self.assertEqual(tables.put(new, "geo", "old"), tables.put(document, "geo", "old"))

    def test_a_document_without_the_place_is_an_error(self):
        with self.assertRaises(tables.NoPlace): tables.put("text", "geo", "")

    def test_all_tables_have_a_place_in_the_document(self):
        document = (peers.ROOT / "docs/performance.md").read_text()
        for name in (*workloads.ALONE, "variants", "databases", "reload", "start", "counts", "growth", "machine"): tables.put(document, name, "")

    def test_a_table_tells_its_rounds_and_servers(self):
        rounds = [{("rhumb", "geo"): {"others": 0}}] * 3
        rows = tables.table(["server", "cost"], [["rhumb", 1], ["knot", 2]])
        self.assertEqual(tables.size(turns.remark(rounds) + rows, peers.SERVERS), (3, ["rhumb", "knot"]))
        self.assertEqual(tables.size(tables.dated("rounds: 12; others") + rows, ["nsd"]), (12, []))
        for number in (1, 5):
            noisy = [{("rhumb", "geo"): {"others": .5}}] * number
            with contextlib.redirect_stderr(io.StringIO()): self.assertEqual(tables.size(turns.remark(noisy), []), (number, []))
        self.assertEqual(tables.size("", peers.SERVERS), (0, []))

    def test_powers(self):
        self.assertAlmostEqual(tables.exponent([(10, 7), (100, 70), (1000, 700)]), 1)
        self.assertAlmostEqual(tables.exponent([(10, 7), (1000, 7)]), 0)
        self.assertAlmostEqual(tables.exponent([(10, 7), (1000, 70)]), .5)
        self.assertEqual(tables.exponent([(10, 7)]), 0)
        self.assertEqual(tables.exponent([(10, 7), (10, 8)]), 0)


class Counting(unittest.TestCase):
    def test_a_profile_has_its_instructions_and_the_calls_that_queries_must_not_make(self):
        self.assertEqual(callgrind.read(PROFILE), (1234, {"allocations": 3, "retain/release": 9}))

    def test_names_for_counting_are_what_their_kind_says(self):
        with tempfile.TemporaryDirectory() as folder:
            work = callgrind.counted_zone(pathlib.Path(folder))
            records = {tuple(line.split()[:2]) for line in work.zone.read_text().splitlines() if line}
            for kind, messages, code, _ in callgrind.kinds(work, None):
                for message in messages:
                    length = message[12]
                    owner, rtype = message[13:13 + length].decode(), struct.unpack_from("!H", message, message.index(b"\0", 12) + 1)[0]
                    has = {name for first, name in records if first == owner}
                    if kind == "NXDOMAIN": self.assertFalse(has)
                    elif kind == "NODATA": self.assertTrue(has and "TXT" not in has, owner)
                    elif kind == "static A": self.assertIn("A", has, owner)
                    elif kind == "wildcard":
                        self.assertFalse(has)
                        self.assertIn((f"*.{message[14 + length:14 + length + message[13 + length]].decode()}", "A"), records)
                    elif kind == "MX": self.assertEqual((has, rtype), ({"MX"}, 15))
                    elif kind.startswith("CNAME"): self.assertEqual(has, {"CNAME"})


class Turns(unittest.TestCase):
    def setUp(self):
        silence = contextlib.redirect_stderr(io.StringIO())  # what rounds say of themselves
        silence.__enter__()
        self.addCleanup(silence.__exit__, None, None, None)

    def rounds(self, *others):
        return [{("rhumb", "geo"): {"others": share, "cost": 4, "user": 1, "kernel": 3, "wrong": 0, "lost": 0, "start": {}}} for share in others]

    def test_noisy_rounds_are_left_out_and_counted(self):
        rounds = self.rounds(.01, .5, .02)
        self.assertEqual(turns.quiet(rounds), ([rounds[0], rounds[2]], True))
        self.assertIn("2 of 3 rounds were quiet", turns.remark(rounds))

    def test_it_is_said_if_too_few_rounds_were_quiet(self):
        for others, words in (((.5, .5, .5), "**None of 3 rounds was quiet**"), ((.5, .01, .5), "**Only 1 of 3 rounds was quiet**"),
                              ((.5,), "**None of 1 rounds was quiet**")):
            rounds = self.rounds(*others)
            self.assertEqual(turns.quiet(rounds), (rounds, False))
            self.assertIn(words, turns.remark(rounds))
        self.assertEqual(turns.quiet(self.rounds(.01))[1], True)

    def test_a_table_that_leaves_nothing_out_says_so_if_it_was_not_quiet(self):
        self.assertNotIn("not quiet", measure.noise([.01, .05, .9]))
        self.assertIn("**not quiet**: others took 50% of the core, 90% at the most", measure.noise([.01, .5, .9]))

    def take(self, fails, deadline=float("inf")):
        """Two rounds of three servers, of whom one fails in a round."""
        chosen = types.SimpleNamespace(rounds=2, seconds=1, deadline=deadline)
        asked = []

        class Server:
            start = {}

            def __init__(self, name, work, database): self.name = name

            def __enter__(self):
                asked.append(self.name)
                if (self.name, asked.count(self.name)) == fails: raise measure.Failure("no answer")
                return self

            def __exit__(self, *_): pass

            def measure(self, seconds, beside): return {"others": 0, "cost": 1, "wrong": 0, "lost": 0}

        with unittest.mock.patch.object(measure, "Server", Server):
            return turns.take_turns([(name, types.SimpleNamespace(name="static")) for name in ("echo", "rhumb", "nsd")], chosen, None)

    def test_a_server_that_fails_is_left_out_and_named(self):
        for number in (1, 2):
            rounds, _, faults = self.take(("nsd", number))
            self.assertEqual([[name for name, _ in one] for one in rounds], [["echo", "rhumb"]] * 2)
            self.assertEqual(faults, ["static, nsd: no answer"])
        with self.assertRaises(measure.Failure): self.take(("rhumb", 2))

    def test_rounds_for_which_there_was_no_time_are_told(self):
        rounds, _, faults = self.take(None, deadline=0)
        self.assertEqual((len(rounds), faults), (1, ["1 of 2 rounds: no time left (--minutes)"]))

    def test_a_bar_is_as_long_as_the_tables_median(self):
        rounds = [{"key": {"cost": cost, "user": own, "kernel": cost - own}} for cost, own in ((3, 1), (5, .5), (4, 2))]
        self.assertEqual(turns.bar("rhumb", rounds, "key"), ("rhumb", 3, 1))


class Calls(unittest.TestCase):
    def test_what_is_called_wrongly_is_told_before_anything_is_measured(self):
        with tempfile.TemporaryDirectory() as folder:
            text = pathlib.Path(folder, "text.md")
            text.write_text("no marks")
            other = pathlib.Path(folder, "other.mmdb")
            other.write_text("no tree")
            for words, expected in ((["statik"], "did you mean 'static'?"), (["--servers", "nds"], "did you mean 'nsd'?"),
                                    (["--rounds", "0"], "0 is not 1 or more"), (["--seconds", "-1"], "is not 0.1 or more"),
                                    (["--svg", f"{folder}/none/a.svg"], "can't be written"), (["--json", folder], "can't be written"),
                                    (["--into", str(text)], "no line <!-- bench static -->"), (["--into", f"{folder}/none.md"], "No such file"),
                                    (["--database", f"{folder}/none.mmdb"], "No such file"), (["--database", str(text)], "named *.mmdb"),
                                    (["--database", str(other)], "no MaxMind database")):
                done = subprocess.run([peers.ROOT / "scripts/bench", "--no-build", *words], capture_output=True, text=True, timeout=300)
                self.assertEqual(done.returncode, 2, words)
                self.assertIn(expected, done.stderr)
            # A document with more in it than the run would give.
            text.write_text("<!-- bench machine -->\n<!-- /bench -->\n<!-- bench static -->\n3 of 8 rounds were quiet\n\n| echo |\n<!-- /bench -->\n")
            bench = [peers.ROOT / "scripts/bench", "static", "--no-build", "--into", text, "--rounds", "7", "--servers", "rhumb"]
            done = subprocess.run(bench, capture_output=True, text=True, timeout=300)
            self.assertEqual(done.returncode, 2)
            for words in ("static: 8 rounds, not 7", "static: echo", "--smaller"): self.assertIn(words, done.stderr)
            done = subprocess.run([peers.ROOT / "scripts/count", "--no-build", "statik"], capture_output=True, text=True, timeout=300)
            self.assertEqual((done.returncode, "no kind has 'statik'" in done.stderr), (2, True))

    def test_a_table_that_is_less_than_the_one_before_is_told(self):
        before = "6 of 6 rounds were quiet\n\n| a |\n| --- |\n| 1 |\n| 2 |\n"
        for now, expected in ((before, ""), (before.replace("6", "8"), ""), (before.replace("6", "5"), "5 rounds, not 6"),
                              (before.replace("| 2 |\n", ""), "3 lines, not 4"), ("", "0 rounds, not 6, 0 lines, not 4")):
            self.assertEqual(tables.less(now, before), expected)
        self.assertEqual(tables.less(before, ""), "")

    def test_what_was_not_built_is_told_at_once(self):
        with tempfile.TemporaryDirectory() as folder:
            for path in ("scripts/bench", "scripts/count", *(f"Tests/Bench/{path.name}" for path in pathlib.Path(__file__).parent.glob("*.py"))):
                (copy := pathlib.Path(folder, path)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(peers.ROOT / path, copy)
            for words, products in ((["scripts/bench", "static", "--servers", "rhumb"], "rhumb and Echo"), (["scripts/count"], "Counts")):
                done = subprocess.run([pathlib.Path(folder, words[0]), *words[1:], "--no-build"], capture_output=True, text=True, timeout=300)
                self.assertEqual(done.returncode, 2)
                self.assertIn(f"no release build of {products}; leave --no-build out", done.stderr)

    def test_help_has_all_works(self):
        text = subprocess.run([peers.ROOT / "scripts/bench", "--help"], capture_output=True, text=True, timeout=300).stdout
        for name in bench.WORKS: self.assertTrue(re.search(rf"(^|[ ,]){name}\b", text, re.MULTILINE), name)

    def test_help_fits_a_terminal(self):
        text = subprocess.run([peers.ROOT / "scripts/bench", "--help"], capture_output=True, text=True, timeout=300,
                              env=os.environ | {"COLUMNS": "80"}).stdout
        self.assertTrue(all(len(line) <= 80 for line in text.splitlines()), max(text.splitlines(), key=len))


class Summary(unittest.TestCase):
    def run_jobs(self, *jobs):
        """The summary of a run of these works, and what stands in the document."""
        with tempfile.TemporaryDirectory() as folder:
            document = pathlib.Path(folder, "text.md")
            document.write_text("".join(f"<!-- bench {name} -->\nold\n<!-- /bench -->\n" for name in ("static", "geo", "big", "machine")))
            args = types.SimpleNamespace(into=document, json=None, svg=None, deadline=float("inf"), smaller=False, minutes=1, servers=["rhumb"])
            with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()):
                well = bench.run(args, list(jobs))
            return well, said.getvalue().partition("# summary")[2], document.read_text()

    def test_what_was_interrupted_is_named_and_what_was_done_is_written(self):
        def interrupted(): raise KeyboardInterrupt

        well, summary, text = self.run_jobs(("static", lambda: tables.Result("new")), ("geo", interrupted), ("big", interrupted))
        self.assertFalse(well)
        for line in (r"static .* done", r"geo .* interrupted", r"big .* not begun"): self.assertRegex(summary, line)
        self.assertRegex(text, r"bench static -->\n\nnew\n\n<(.|\n)*bench geo -->\nold\n<(.|\n)*Last written on .* \(static\), on")

    def test_a_work_that_fails_leaves_its_table_and_the_others_go_on(self):
        def failing(): raise measure.Failure("no answer")

        well, summary, text = self.run_jobs(("static", failing), ("geo", lambda: tables.Result("new")))
        self.assertFalse(well)
        for line in (r"static .* no answer", r"geo .* done"): self.assertRegex(summary, line)
        self.assertRegex(text, r"bench static -->\nold\n<(.|\n)*bench geo -->\n\nnew\n")
        self.assertTrue(self.run_jobs(("static", lambda: tables.Result("new")))[0])


class Reloads(unittest.TestCase):
    def test_a_reload_counts_as_one_under_load_only_if_it_ended_there(self):
        with tempfile.TemporaryDirectory() as folder:
            output, reloads = pathlib.Path(folder, "output"), []
            output.write_text("")

            def send_signal(_):
                reloads.append(True)
                if len(reloads) == 2: watch.ended.wait(60)  # the load ends before this reload
                output.write_text("reloaded \n" * len(reloads))

            server = types.SimpleNamespace(folder=pathlib.Path(folder), process=types.SimpleNamespace(pid=0, send_signal=send_signal))
            watch, used = upheaval.Reloads(server, []), iter(range(1_000))
            watch.check = lambda: None
            with unittest.mock.patch.object(measure, "cpu", lambda _: [next(used)]), \
                    unittest.mock.patch.object(upheaval, "write_generation", lambda *_: None), watch:
                while len(reloads) < 2: watch.ended.wait(.001)
            self.assertEqual((len(watch.seconds), watch.cut), (1, 1))

    def test_no_reload_begins_before_the_load(self):
        watch = upheaval.Reloads(types.SimpleNamespace(process=types.SimpleNamespace(pid=0)), [])
        watch.check = lambda: watch.ended.wait(.05)
        with unittest.mock.patch.object(measure, "cpu", lambda _: [0]), watch: pass
        self.assertEqual((watch.generation, watch.seconds, watch.cut), (0, [], 0))


class Messages(unittest.TestCase):
    def test_the_first_address_is_found_behind_an_alias(self):
        question = b"\1a\0\0\1\0\1"
        alias = b"\xc0\x0c\0\5\0\1\0\0\0\1\0\3\1b\0"
        address = b"\1b\0\0\1\0\1\0\0\0\1\0\4\x0a\1\2\3"
        message = struct.pack("!6H", 7, 0x8400, 1, 2, 0, 0) + question + alias + address
        self.assertEqual(measure.first_address(message, len(question)), "10.1.2.3")
        self.assertIsNone(measure.first_address(message[:6] + b"\0\1" + message[8:], len(question)))

    def test_generations_have_addresses_of_their_own(self):
        given = {upheaval.shifted(peers.address(2, 3), number) for number in range(100)}
        self.assertEqual(len(given), 100)
        self.assertEqual(upheaval.shifted("10.3.2.1", 0), "10.3.2.1")


class Growth(unittest.TestCase):
    def test_points_have_as_much_as_they_say(self):
        lines = lambda point, path: "".join(point.files[path])
        point = growth.static(1_000, 10, "zones", "")
        self.assertEqual((point.size, len(point.files), sum("".join(text).count(" A 10.") for text in point.files.values())), (10, 10, 1_000))
        for count in (1, 10, 1_000, 10_000):
            text = lines(growth.of_rules(count, None), "zones/geo.yaml")
            self.assertEqual(text.count("      - {"), count)
            networks = [part.split("]")[0] for part in text.split("networks: [")[1:]]
            self.assertTrue(all(int(n.split(".")[0]) < 224 and int(n.split(".")[1]) < 256 for n in networks))
        for count in (6, 60, 600):
            text = lines(growth.of_pools(count, None), "zones/geo.yaml")
            self.assertEqual(text.count("location:"), count)
            rules = [line for line in text.splitlines() if "policy" in line]
            self.assertTrue(all(line.count("site") <= 64 for line in rules))
        for count, files in ((1_000, 1), (300_000, 2)):
            point = growth.of_networks(count, None)
            texts = [text for path, text in point.files.items() if path.startswith("zones/s")]
            named = [network for text in texts for part in text.split("networks: [")[1:] for network in part.split("]")[0].split(", ")]
            self.assertEqual((len(texts), len(named), len({*named})), (files, count, count))
            self.assertTrue(all(part.count("/") <= 10_000 for text in texts for part in text.split("networks: [")[1:]))
        self.assertEqual(len(growth.of_overrides(1_000, None).files["geo/overrides.yaml"]), 1_001)
        self.assertEqual(lines(growth.of_monitors(1_000, 9), "zones/geo.yaml").count("addresses:"), 1_000)

    def test_a_power_is_told_of_what_the_clock_can_tell(self):
        grown = lambda few, many, key="load": growth.grown(key, few and (10, {key: few}), (100, {key: many}))
        self.assertEqual((grown(None, 1), grown(.02, .5), grown(.5, .01)), ("–", "–", "–"))
        self.assertEqual((grown(.2, 2.), grown(.2, .2), grown(.2, .199), grown(1, 10, "memory")), ("1.0", "0.0", "0.0", "1.0"))

    def test_networks_leave_others_between_them(self):
        networks = [ipaddress.ip_network(text) for text in geodata.every_other(10_000)]
        self.assertEqual(len({*networks}), 10_000)
        self.assertTrue(all(int(b.network_address) - int(a.network_address) == 2 * a.num_addresses for a, b in zip(networks, networks[1:])))
        self.assertTrue(networks[0].network_address > ipaddress.ip_address("1.0.0.0") and networks[-1].broadcast_address < ipaddress.ip_address("224.0.0.0"))

    def test_a_made_database_has_as_many_networks_and_places_as_it_says(self):
        try:
            import maxminddb
        except ImportError:
            self.skipTest("python3-maxminddb is missing")
        with tempfile.TemporaryDirectory() as folder:
            reader = maxminddb.open_database(str(geodata.write_database(pathlib.Path(folder, "made.mmdb"), 10, 50)))
            found = [reader.get_with_prefix_len(str(ipaddress.IPv4Address(number << 22))) for number in range(1 << 10)]
            reader.close()
        self.assertEqual({length for _, length in found}, {10})
        self.assertEqual(len({tuple(place["location"].values()) for place, _ in found}), 50)


class Drawing(unittest.TestCase):
    def test_titles_are_text(self):
        self.assertIn("a &lt;b&gt; &amp; c", chart.draw([("a <b> & c", [("rhumb", 3, 1)])]))


unittest.main()
