# Snakemake runs this from the working directory, in the environment that it made from cpu.yaml.
bash envs/install.sh cpu
