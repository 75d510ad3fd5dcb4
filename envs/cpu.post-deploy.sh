# Snakemake runs this from the working directory, in the environment that it made from cpu.yaml. It makes
# the environment anew when this file changes: `make lock` writes the checksum of the lock here.
bash envs/install.sh cpu f51b4397475664dc49ca0116d57d9c0bbbf4ab905b2fa3fc7a91fef5c907bce1
