"""Tests of what scripts/bench computes itself: python3 Tests/Bench/test_bench.py"""
import pathlib, struct, sys, tempfile, unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import callgrind, growth, measure, peers, tables, upheaval, workloads

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
        with self.assertRaises(KeyError): tables.put("text", "geo", "")

    def test_all_tables_have_a_place_in_the_document(self):
        document = (peers.ROOT / "docs/performance.md").read_text()
        for name in (*workloads.ALONE, "variants", "reload", "start", "counts", "growth", "machine"): tables.put(document, name, "")

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
                    elif kind == "MX": self.assertEqual((has, rtype), ({"MX"}, 15))
                    elif kind.startswith("CNAME"): self.assertEqual(has, {"CNAME"})


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
        for count in (1, 10, 1_000):
            text = lines(growth.of_rules(count, None), "zones/geo.yaml")
            self.assertEqual(text.count("      - {"), count)
            networks = [part.split("]")[0] for part in text.split("networks: [")[1:]]
            self.assertTrue(all(int(n.split(".")[0]) < 224 and int(n.split(".")[1]) < 256 for n in networks))
        for count in (6, 60, 600):
            text = lines(growth.of_pools(count, None), "zones/geo.yaml")
            self.assertEqual(text.count("location:"), count)
            rules = [line for line in text.splitlines() if "policy" in line]
            self.assertTrue(all(line.count("site") <= 64 for line in rules))
        self.assertEqual(lines(growth.of_monitors(1_000, 9), "zones/geo.yaml").count("addresses:"), 1_000)


unittest.main()
