#!/usr/bin/python3
"""docs/recipes.md says what the services themselves say of their recipes, and every parameter is described.

Arguments: the folder of backfire's binaries, the folder of the sources, the folder of gRPC's stubs; `--write` writes the page
anew. Exits 77 (skipped) without Debian's python3-grpcio, or where a service is not built.
"""
import os
import subprocess
import sys
import tempfile

BIN, SOURCE, STUBS = sys.argv[1:4]
PAGE = os.path.join(SOURCE, "docs/recipes.md")
SECONDS = 120
# Program, its arguments, and the models of it that stand for all.
SERVICES = [
    ("disparity-service", [], ["disparity"]), ("pointcloud-service", [], ["pointcloud"]),
    ("proposals-service", [], ["proposals"]), ("car-service", [], ["car"]), ("pedestrian-service", [], ["pedestrian"]),
    ("planar-service", ["--system", os.path.join(SOURCE, "deploy/systems/nearest-neighbour.yaml")], ["position", "label"]),
    ("nearest-neighbour-service", [], ["nearest"])]
HEAD = """# Recipes

What models are trained by, from what their services say of it; `backfire system recipes` prints it of a system that is up. Generated:
`./dev build` and then `tests/integration/recipes_page_test.py` with `--write` make this page anew, and a test compares it.
"""

try:
    sys.path.insert(0, STUBS)
    import grpc
    from backfire.v1 import model_service_pb2 as pb, model_service_pb2_grpc as rpc
except ImportError:
    sys.exit(77)
if not all(os.path.exists(os.path.join(BIN, program)) for program, _, _ in SERVICES):
    sys.exit(77)


def value_text(value):
    """A default, as one types it."""
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        return f"{value.number_value:.6g}"
    if kind == "string_value":
        return value.string_value or '""'
    if kind == "bool_value":
        return "true" if value.bool_value else "false"
    if kind == "struct_value":
        return "{}"
    return "[" + ", ".join(value_text(one) for one in value.list_value.values) + "]"


def allowed_text(parameter):
    """What a value may be."""
    if parameter.choices:
        return ", ".join(parameter.choices)
    unit = f" {parameter.unit}" if parameter.unit else ""
    low, high = parameter.minimum, parameter.maximum
    if parameter.HasField("minimum") and parameter.HasField("maximum"):
        return f"{low:.6g} to {high:.6g}{unit}"
    return f"at least {low:.6g}{unit}" if parameter.HasField("minimum") else ""


def recipe_text(recipe, faults, model):
    """A recipe with a table of its parameters."""
    lines = [f"\n### {recipe.name}\n"]
    if recipe.unservable:
        lines.append("Its versions can be evaluated, and others trained on them; they can't be served.\n")
    described = {parameter.name: parameter for parameter in recipe.described}
    if not recipe.parameters.fields:
        lines.append("No parameters.")
    else:
        lines += ["| parameter | default | allowed | meaning |", "|---|---|---|---|"]
    for name in sorted(recipe.parameters.fields):
        parameter = described.get(name, pb.RecipeParameter())
        if not parameter.description:
            faults.append(f"{model}, recipe {recipe.name}: parameter {name} has no description")
        lines.append(f"| `{name}` | {value_text(recipe.parameters.fields[name])} | {allowed_text(parameter)} | "
                     f"{parameter.description} |")
    return "\n".join(lines) + "\n"


def models_of(program, arguments, names):
    """What a service says of its models."""
    with tempfile.TemporaryDirectory() as directory, open(f"{directory}/log", "w+", encoding="utf-8") as log, subprocess.Popen(
            [os.path.join(BIN, program), "--listen", f"unix:{directory}/service", "--data-dir", f"{directory}/data",
             *arguments], stdout=log, stderr=log) as process:
        try:
            with grpc.insecure_channel(f"unix:{directory}/service") as channel:
                stub = rpc.ModelServiceStub(channel)
                return [stub.GetModel(pb.GetModelRequest(name=f"models/{name}"), timeout=SECONDS, wait_for_ready=True)
                        for name in names]
        finally:
            process.kill()


def main():
    page, faults, known = [HEAD], [], {}
    for service in SERVICES:
        for model in models_of(*service):
            name = model.name.removeprefix("models/")
            recipes = [recipe_text(recipe, faults, model.name) for recipe in model.recipes]
            same = known.setdefault(tuple(recipes), name)
            page.append(f"\n## {name}\n\n{model.description} A model of `{service[0]}`.\n")
            page += recipes if same == name else [f"\nIts recipes are those of [{same}](#{same}).\n"]
    text = "".join(page)
    if "--write" in sys.argv:
        with open(PAGE, "w", encoding="utf-8") as file:
            file.write(text)
    try:
        with open(PAGE, encoding="utf-8") as file:
            kept = file.read()
    except FileNotFoundError:
        kept = ""
    if kept != text:
        faults.append("docs/recipes.md is not what the services say: write it anew with --write")
        for line in sorted(set(text.splitlines()) ^ set(kept.splitlines()))[:20]:
            print(("+ " if line in text else "- ") + line)
    print("\n".join(faults) or f"docs/recipes.md: {text.count('### ')} recipes")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
