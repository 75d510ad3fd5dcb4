# Snakemake runs this from the working directory, in the environment that it made from tpu.yaml. It makes
# the environment anew when this file changes: `make lock` writes the checksum of the lock here.
bash envs/install.sh tpu d3d1a1e3751afd62402831a634ecf792b983a1d0195ef55a9a9e93548d7af318
