"""Every public set as its owners hand it out, with a handful of images in place of thousands."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssl_robust.data.manifest import data_settings, load_manifest
from ssl_robust.data.public import dermnet, nct_crc_he


def images(root: Path, *names: str) -> None:
    """8-px images below a folder; the pixels of each are its place in the list."""
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(root / name)


def fetal_planes(root: Path) -> None:
    # The official header ends in a blank, as does every line.
    lines = ["Image_name;Patient_num;Plane;Brain_plane;Operator;US_Machine;Train "]
    planes = ["Other", "Maternal cervix", "Fetal abdomen", "Fetal brain", "Fetal femur", "Fetal thorax"]
    for patient in range(1, 13):
        for shot in (1, 2):
            name = f"Patient{patient:05}_Plane{shot}_{shot}_of_2"
            brain = "Trans-thalamic" if planes[patient % 6] == "Fetal brain" else "Not A Brain"
            lines.append(f"{name};{patient};{planes[patient % 6]};{brain};Op. 1;Voluson E6;{int(patient <= 10)} ")
            images(root, f"Images/{name}.png")
    (root / "FETAL_PLANES_DB_data.csv").write_text("\n".join(lines) + "\n")
    for unread in ("FETAL_PLANES_DB_data.xlsx", "README.md"):
        (root / unread).touch()


def dermnet_tree(root: Path) -> None:
    for label in dermnet.CLASSES:
        images(root, *(f"train/{label}/{number}.jpg" for number in range(4)), f"test/{label}/0.jpg")


def covid_qu_ex(root: Path) -> None:
    names = {"COVID-19": "covid_1.png", "Non-COVID": "non_COVID (1).png", "Normal": "Normal (1).png"}
    for half, kinds in (("Lung", ("images", "lung masks")), ("Infection", ("images", "infection masks", "lung masks"))):
        top = f"{half} Segmentation Data/{half} Segmentation Data"
        for split in ("Train", "Val", "Test"):
            for label, name in names.items():
                images(root, *(f"{top}/{split}/{label}/{kind}/{name}" for kind in kinds))
    # What lies beside the images of a class is no scan; a listing of the archive shows pedestrians here.
    images(root, "Lung Segmentation Data/Lung Segmentation Data/Train/Normal/PennFudanPed/PNGImages/FudanPed00001.png")


def mura(root: Path) -> None:
    for number, part in enumerate(("ELBOW", "FINGER", "FOREARM", "HAND", "HUMERUS", "SHOULDER", "WRIST")):
        for patient in range(2):
            folder = f"train/XR_{part}/patient{2 * number + patient:05}"
            images(root, f"{folder}/study1_positive/image1.png", f"{folder}/study2_negative/image1.png")
        images(root, f"valid/XR_{part}/patient{11185 + number}/study1_negative/image1.png")
    for half, study in (("train", "patient00000/study1_positive/"), ("valid", "patient11185/study1_negative/")):
        # None of the official tables has a header.
        where = f"MURA-v1.1/{half}/XR_ELBOW/{study}"
        (root / f"{half}_image_paths.csv").write_text(f"{where}image1.png\n")
        (root / f"{half}_labeled_studies.csv").write_text(f"{where},{int('positive' in study)}\n")


def nct_crc_he_tree(root: Path) -> None:
    for label in nct_crc_he.CLASSES:
        images(root, *(f"NCT-CRC-HE-100K/{label}/{label}-AAAFLCL{letter}.tif" for letter in "ABCD"))
        images(root, f"CRC-VAL-HE-7K/{label}/{label}-TCGA-AAICEQFN.tif")


def isic2019(root: Path) -> None:
    classes = ["MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK"]
    truth, metadata = ["image," + ",".join(classes)], ["image,age_approx,anatom_site_general,lesion_id,sex"]
    for number in range(48):  # two images of each lesion, but the last two without a lesion
        marks = ",".join("1.0" if number // 2 % 8 == code else "0.0" for code in range(9))
        image = f"ISIC_{number:07}{'_downsampled' if number % 12 == 1 else ''}"
        truth.append(f"{image},{marks}")
        metadata.append(f"{image},55,anterior torso,{f'BCN_{number // 2:07}' if number < 46 else ''},female")
        images(root, f"ISIC_2019_Training_Input/{image}.jpg")
    for unread in ("ATTRIBUTION.txt", "LICENSE.txt"):
        (root / "ISIC_2019_Training_Input" / unread).touch()
    (root / "ISIC_2019_Training_GroundTruth.csv").write_text("\n".join(truth) + "\n")
    (root / "ISIC_2019_Training_Metadata.csv").write_text("\n".join(metadata) + "\n")


TREES = {
    "fetal_planes": fetal_planes,
    "dermnet": dermnet_tree,
    "covid_qu_ex": covid_qu_ex,
    "mura": mura,
    "nct_crc_he": nct_crc_he_tree,
    "isic2019": isic2019,
}


@pytest.fixture
def official(tmp_path):
    """A set's name -> the folder in which it was unpacked."""

    def make(name: str) -> Path:
        TREES[name](tmp_path)
        return tmp_path

    return make


@pytest.fixture
def add_images():
    return images


@pytest.fixture
def load():
    """A set's name, its folder and options -> manifest."""
    return lambda name, root, **options: load_manifest(data_settings(name, path=str(root), **options))
