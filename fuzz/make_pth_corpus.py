"""Writes the .pth seeds of corpus/pth with PyTorch (2.2.2 here): make_pth_corpus.py FOLDER.

Each has the form in which some real program saves; src/io/torch_file_test.cc checks their values.
"""
import collections
import pathlib
import sys

import torch

out = pathlib.Path(sys.argv[1])
ramp = torch.arange(12, dtype=torch.float32).reshape(3, 4)


def save(name, value, **options):
    torch.save(value, out / name, **options)


save("types.pth", {t: ramp.to(getattr(torch, t)) for t in
                   "float32 float16 bfloat16 float64 int64 int32 int16 int8 uint8 bool".split()})
save("views.pth", {
    "transposed": ramp.t(),
    "column": ramp[:, 1],
    "block": ramp[1:, 2:],
    "permuted": torch.arange(24, dtype=torch.float32).reshape(2, 3, 4).permute(2, 0, 1),
    "scalar": torch.tensor(7.5),
    "empty": torch.zeros(0, 4),
})
save("shared.pth", {"whole": ramp, "again": ramp, "row": ramp[2]})
module = torch.nn.Linear(4, 3)
with torch.no_grad():
    module.weight.copy_(ramp)
    module.bias.fill_(1)
save("module_state.pth", module.state_dict())
save("parameter.pth", {"weight": module.weight, "note": "a string", "step": 3, "lr": 0.5})
save("protocol4.pth", collections.OrderedDict(weight=ramp), pickle_protocol=4)
save("wrapped.pth", {"state_dict": {"weight": ramp}, "epoch": 1, "big": 1 << 80})
adam = torch.optim.Adam(module.parameters())
module(ramp).sum().backward()
adam.step()
save("optimizer.pth", adam.state_dict())
save("list.pth", [ramp])
save("class.pth", torch.nn.Sequential(module))
save("legacy.pth", {"weight": ramp, "row": ramp[2], "half": ramp.half()},
     _use_new_zipfile_serialization=False)
