# Snakemake runs this from the working directory, in the environment that it made from tpu.yaml. It makes
# the environment anew when this file changes: `make lock` writes the checksum of the lock here.
bash envs/install.sh tpu 55ea8dfb4d328e93d0bb1978d352bfde3e6a3e822bad0e6fa9f0dc2675d86d7f
