import warnings

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


@pytest.fixture
def dicom(tmp_path):
    """Write a DICOM file; `values` are (H, W[, 3]) or (n, H, W[, 3]) of the type that is stored."""

    def write(values, name="a.dcm", *, syntax=ExplicitVRLittleEndian, frames=None, **elements):
        values = np.asarray(values)
        color = values.shape[-1] == 3 and values.ndim > 2
        shape = values.shape[:-1] if color else values.shape
        data = Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = syntax
        data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, generate_uid()
        data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.Modality, data.PatientID, data.PatientName = "CT", "P1", "DOE^JANE"
        data.Rows, data.Columns = shape[-2:]
        data.NumberOfFrames = shape[0] if len(shape) == 3 else 1
        data.SamplesPerPixel = 3 if color else 1
        data.PhotometricInterpretation = "RGB" if color else "MONOCHROME2"
        if color:
            data.PlanarConfiguration = 0
        data.BitsAllocated = data.BitsStored = 8 * values.dtype.itemsize
        data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(values.dtype.kind == "i")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values that the standard does not allow
            for keyword, value in elements.items():
                setattr(data, keyword, value)
        if values.dtype.kind == "f":
            del data.BitsStored, data.HighBit, data.PixelRepresentation
            keyword = "FloatPixelData" if values.dtype == np.float32 else "DoubleFloatPixelData"
            setattr(data, keyword, values.tobytes())
        elif frames is not None:
            data.PixelData = encapsulate(frames)
            data["PixelData"].is_undefined_length = True
        else:
            raw = values.tobytes()
            data.add_new("PixelData", "OW", raw + b"\0" * (len(raw) % 2))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data.save_as(tmp_path / name, enforce_file_format=True)
        return tmp_path / name

    return write
