"""`backfire vision eval ... --records`: the gate judges detections and disparity maps that people have already."""
import json
import os
import random
import struct
import subprocess
import sys
import zlib

import gate_kit
from gate_kit import GateTest

VISION = os.path.abspath(sys.argv[3])
POLICY = """candidate: disparity
bootstrap: {resample_count: 200}
vertices:
- name: disparity
  losses:
  - {name: disparity_mae, unit: px, numerator: absolute_error_px, denominator: pixels, margin: 0.2}
- name: car
  parents: [disparity]
  losses:
  - {name: ap_3d, unit: percent, direction: higher, resampled: true, margin: 2}
  required_slices: [depth_0_20_m]
"""
LABEL = "Car 0 0 0.5 100 100 200 160 1.5 1.6 4 1 1.65 15 0.6\n"
FRAMES = 60


def write(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


def png16(rows):
    """A 16-bit grey PNG, as KITTI has disparities: pixels times 256."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    raw = b"".join(b"\0" + b"".join(struct.pack(">H", round(256 * value)) for value in row) for row in rows)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", len(rows[0]), len(rows), 16, 0, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


class VisionRecords(GateTest):
    """Worlds of a car per frame and maps of a few pixels; some cars are not found any more."""

    def evaluate(self, *arguments):
        done = subprocess.run([VISION, "eval", *arguments], cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def write_side(self, side, found, error):
        for seed in range(5):
            draw = random.Random(f"{side} {seed}")
            results = f"{self.folder}/results/{side}/{seed}"
            for frame in range(FRAMES):
                right = draw.random() < found
                line = LABEL.replace("Car 0 0", "Car -1 -1") if right else "Car -1 -1 0.5 100 100 200 160 1.5 1.6 4 9 1.65 15 0.6\n"
                write(f"{results}/boxes/{frame:06d}.txt", f"{line.strip()} {draw.random():.4f}\n".encode())
                write(f"{results}/maps/{frame:06d}_10.png", png16([[20 + error + draw.random(), 10 + error]]))
            self.evaluate("kitti", "--labels", "labels", "--detections", f"{results}/boxes", "--bootstrap", "200", "--slices", "0-20",
                          "--records", f"{side}/boxes{seed}.jsonl", "--replicate", str(seed))
            self.evaluate("disparity", "--truth", "truth", "--predicted", f"{results}/maps", "--records", f"{side}/maps{seed}.jsonl",
                          "--replicate", str(seed))

    def test_a_verdict_on_results(self):
        self.write("backfire-gate.yaml", POLICY)
        for side in ("before", "after"):
            for name in os.listdir(f"{self.folder}/{side}"):
                os.unlink(f"{self.folder}/{side}/{name}")
        for frame in range(FRAMES):
            write(f"{self.folder}/labels/{frame:06d}.txt", LABEL.encode())
            write(f"{self.folder}/truth/{frame:06d}_10.png", png16([[20, 10]]))
        self.write_side("before", found=0.95, error=1.0)
        self.write_side("after", found=0.6, error=0.4)
        done = self.check(1, "--json", "report.json", "--html", "page.html")
        self.assertIn("REFUSED (SELF_DEFEATING): car ap_3d", done.stdout)
        report = json.loads(self.read("report.json"))
        by_name = {(one["vertex"], one["slice"]): one for one in report["verdict"]["comparisons"]}
        self.assertEqual(set(by_name), {("disparity", ""), ("car", ""), ("car", "depth_0_20_m")})
        # Mean of |1 + U| and 1 over two pixels, less 0.6 of each.
        self.assertAlmostEqual(by_name["disparity", ""]["difference"], -0.6, delta=0.05)
        self.assertGreater(by_name["car", ""]["difference"], 10)
        self.assertEqual(int(by_name["car", ""]["example_count"]), FRAMES)  # int64 is a text in JSON.


if __name__ == "__main__":
    gate_kit.main()
