"""Networks that learn from sounds, images and text; the only room that knows torch.

What learning leaves behind is ONNX bytes, which onnxruntime runs: answering imports nothing from here.
Modules that import torch on top are imported by functions alone, which check first that it is there.
"""
