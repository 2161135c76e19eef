"""`mm4st bench`: what we do against a peer, both measured in the same run; a ratio above 1 means we are ahead."""

from eval.bench.forecast import bench_forecast
from eval.bench.imaging import bench_imaging
from eval.bench.report import BenchRow, print_rows

__all__ = ["BenchRow", "bench_forecast", "bench_imaging", "print_rows"]
