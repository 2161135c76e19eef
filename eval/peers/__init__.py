"""The peers that ST-VLM is compared with, written from their papers and trained by one loop.

The packages that hold them do not serve here: torch-spatiotemporal 0.9.5 imports torch_geometric for Graph WaveNet,
and has neither STID nor STAEformer. The tests hold the parameter counts against the published ones.
"""
