"""One of several processes that add their ranks up over NCCL, or over gloo where there is no GPU; see check.py."""

import os

import torch
import torch.distributed


def main() -> None:
    """Join the others, add up, and print the back end (rank 0)."""
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("nccl" if cuda else "gloo")
    count = torch.distributed.get_world_size()
    value = torch.ones(1, device="cuda" if cuda else "cpu") * torch.distributed.get_rank()
    torch.distributed.all_reduce(value)
    if value.item() != count * (count - 1) / 2:
        raise RuntimeError(f"{count} ranks add up to {value.item()}")
    if torch.distributed.get_rank() == 0:
        print(torch.distributed.get_backend(), flush=True)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
