# Snakemake runs this from the working directory, in the environment that it made from cpu.yaml. It makes
# the environment anew when this file changes: `make lock` writes the checksum of the lock here.
bash envs/install.sh cpu 804a092c7e4bda4dba7dc2cefc84d9368d5e33abbc1f15ce1ef69f37c3b54a64
