"""The files in which the datasets were published: names, where they are, checksums.

No TensorFlow. The checksums of SuperGLUE's files are those of the copies that several public
repositories hold; SQuAD's, DPR's and the archives' are TFDS's; MRQA's are in the MRQA README.
"""

import dataclasses
import hashlib
from pathlib import Path

from promptscale.config.tasks import Task

_SUPER_GLUE = "https://dl.fbaipublicfiles.com/glue/superglue/data/v2"
_GLUE = "https://dl.fbaipublicfiles.com/glue/data"
_SENTEVAL = "https://dl.fbaipublicfiles.com/senteval/senteval_data"
_SQUAD = "https://rajpurkar.github.io/SQuAD-explorer/dataset"
_DPR = "https://s3.amazonaws.com/datasets.huggingface.co/definite_pronoun_resolution"
_MRQA = "https://s3.us-east-2.amazonaws.com/mrqa/release/v2/dev"
_BIOASQ = "http://participants-area.bioasq.org/MRQA2019/"
_MRPC_DEV_IDS = (
    "https://firebasestorage.googleapis.com/v0/b/mtl-sentence-representations.appspot.com/o/"
    "data%2Fmrpc_dev_ids.tsv?alt=media&token=ec5c0836-31d5-48f4-b431-7480817f1adc"
)


@dataclasses.dataclass(frozen=True)
class PublishedFile:
    """One file of a published dataset.

    Attributes:
      path: its usual place, relative to the folder of the files; inside an archive, the member.
      url: where it, or the archive that holds it, was published.
      checksum: `sha256:...`, `md5:...` or `git-blob:...` of the file; empty where none is known.
    """

    path: str
    url: str
    checksum: str = ""

    @property
    def archive(self) -> str:
        """The name of the zip archive that holds the file; empty where there is none."""
        return Path(self.url).name if self.url.endswith(".zip") else ""

    def matches(self, path: Path) -> bool:
        """Whether the file at `path` has the known checksum (or none is known)."""
        if not self.checksum:
            return True
        algorithm, expected = self.checksum.split(":")
        git_blob = algorithm == "git-blob"
        digest = hashlib.new("sha1" if git_blob else algorithm)
        if git_blob:
            digest.update(b"blob %d\0" % path.stat().st_size)
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest() == expected


def _super_glue(name: str, train: str, validation: str) -> dict[str, tuple[PublishedFile, ...]]:
    url = f"{_SUPER_GLUE}/{name}.zip"
    return {
        "train": (PublishedFile(f"{name}/train.jsonl", url, train),),
        "validation": (PublishedFile(f"{name}/val.jsonl", url, validation),),
    }


def _mrqa(name: str, md5: str, url: str = "") -> dict[str, tuple[PublishedFile, ...]]:
    path = f"{name}.jsonl.gz"
    return {"validation": (PublishedFile(path, url or f"{_MRQA}/{path}", f"md5:{md5}"),)}


def _one_file_per_split(url: str, **splits: tuple[str, str]) -> dict:
    return {
        split: (PublishedFile(name, f"{url}/{name}", f"sha256:{checksum}"),)
        for split, (name, checksum) in splits.items()
    }


_MRPC = (
    PublishedFile(
        "msr_paraphrase_train.txt",
        f"{_SENTEVAL}/msr_paraphrase_train.txt",
        "sha256:60a9b09084528f0673eedee2b69cb941920f0b8cd0eeccefc464a98768457f89",
    ),
    PublishedFile(
        "mrpc_dev_ids.tsv",
        _MRPC_DEV_IDS,
        "sha256:971d7767d81b997fd9060ade0ec23c4fc31cbb226a55d1bd4a1bac474eb81dc7",
    ),
)

# GLUE's own division of the MRPC corpus, which some have instead of the corpus.
MRPC_TSV = {"train": "MRPC/train.tsv", "validation": "MRPC/dev.tsv"}

_PUBLISHED: dict[str, dict[str, tuple[PublishedFile, ...]]] = {
    "boolq": _super_glue(
        "BoolQ",
        train="git-blob:17186a54f2314d0539939bb0020b9bde73b7d6d4",
        validation="sha256:0c86a5045886e5795fe9052003873f7d94b88ed3028a33007c51d99e44fd66d9",
    ),
    "cb": _super_glue(
        "CB",
        train="sha256:32017480d3a10508646e3efd64502c639f13d4d15077f278d2fd0992c33a3126",
        validation="sha256:c6125587e9601560cb16ea223c33964c5a915568d2af68a81f651b6ef25395ec",
    ),
    "copa": _super_glue(
        "COPA",
        train="sha256:e74ed25f36119fff954d90900ebbaae277e2cc4864be4b961e7a46c8f67d11a9",
        validation="sha256:fa61467cc251010178ed72f8ca82a0fceefc4ca9a85f87ec3b6102955e1a1f1a",
    ),
    "multirc": _super_glue(
        "MultiRC",
        train="sha256:bb73d0838618f8269190a2533fead3140607558975ea0df6511fa534e8d3535c",
        validation="sha256:d2b480195b15574ac00d52c4479f630bc161a7ab2de77e970fd00652846953ee",
    ),
    "record": _super_glue(
        "ReCoRD",
        train="sha256:be40993957aa752d2a355c76fba5b66bae9455a7522158a3b2e1a0f7e6f21b11",
        validation="sha256:ed228700e8ffc6a5af3209a7faf334c4ea61d4f07e79806b693504e6a7dbafb2",
    ),
    "rte": _super_glue(
        "RTE",
        train="sha256:fdfb03443abe3ec0424b7fc5d1a8863361719bc061338b7a63e56b94d615f201",
        validation="sha256:ab990507bf5f35dc176cba7770a72bfa2c50a88ed72b8cc95cfbf9db95ab1af1",
    ),
    "wic": _super_glue(
        "WiC",
        train="sha256:ce301970aaf361ade6c1d218fe15c50b185b14a4bcb618c5785a8484a46f9943",
        validation="sha256:9f7207c88beba42cbc139de4c62ce05b23bffc189b3d561594b160e0c3920c0b",
    ),
    "wsc": _super_glue(
        "WSC",
        train="sha256:0ffaa3fd8d21e58a0805962565d1619aa4819bc3d034255777f606f801ae5a42",
        validation="sha256:e5c685ea4bdc347354036a28176459f6feeb0b6870375ecfb3d6ddb1f0e28bef",
    ),
    "mrpc": {"train": _MRPC, "validation": _MRPC},
    "qqp": {
        "train": (PublishedFile("QQP/train.tsv", f"{_GLUE}/QQP.zip"),),
        "validation": (PublishedFile("QQP/dev.tsv", f"{_GLUE}/QQP.zip"),),
    },
    "squad": _one_file_per_split(
        _SQUAD,
        train=(
            "train-v1.1.json",
            "3527663986b8295af4f7fcdff1ba1ff3f72d07d61a20f487cb238a6ef92fd955",
        ),
        validation=(
            "dev-v1.1.json",
            "95aa6a52d5d6a735563366753ca50492a658031da74f301ac5238b03966972c9",
        ),
    ),
    "dpr": _one_file_per_split(
        _DPR,
        train=(
            "train.c.txt",
            "c310158d0cbac1a556e3284e6c167f4478271d8d50b0b9d15dfe428c905a0867",
        ),
        validation=(
            "test.c.txt",
            "cf1cf025e1d59a5b363e6dcfbd5a13aae8a9830831ac16fd7f865aca7a1559d8",
        ),
    ),
    "textbookqa": _mrqa("TextbookQA", "8b52d21381d841f8985839ec41a6c7f7"),
    "bioasq": _mrqa("BioASQ", "70752a39beb826a022ab21353cb66e54", _BIOASQ),
    "race": _mrqa("RACE", "ba8063647955bbb3ba63e9b17d82e815"),
    "re": _mrqa("RelationExtraction", "266be75954fcb31b9dbfa9be7a61f088"),
    "duorc": _mrqa("DuoRC.ParaphraseRC", "b325c0ad2fa10e699136561ee70c5ddd"),
    "drop": _mrqa("DROP", "070eb2ac92d2b2fc1b99abeda97ac37a"),
}


def published_files(task: Task, split: str) -> tuple[PublishedFile, ...]:
    """The published files that TFDS reads for our `split` of `task`."""
    return _PUBLISHED[task.name][split]
