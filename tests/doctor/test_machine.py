import os

from ssl_robust.doctor import machine


def write(root, name, text):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def test_a_container_of_the_second_version_limits_cores_and_memory(tmp_path):
    write(tmp_path, "proc/self/cgroup", "0::/jobs/mine\n")
    write(tmp_path, "sys/fs/cgroup/jobs/mine/cpu.max", "max 100000\n")
    write(tmp_path, "sys/fs/cgroup/jobs/cpu.max", "150000 100000\n")  # of the group around it
    write(tmp_path, "sys/fs/cgroup/jobs/mine/memory.max", "1000000\n")
    write(tmp_path, "sys/fs/cgroup/memory.max", "2000000\n")
    assert machine.cores(tmp_path)["quota"] == 1.5
    assert machine.cores(tmp_path)["usable"] == min(2, machine.cores(tmp_path)["affinity"])
    assert machine.memory(tmp_path)["limit"] == 1_000_000


def test_a_container_of_the_first_version(tmp_path):
    write(tmp_path, "proc/self/cgroup", "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n3:pids:/x\n")
    # Inside a container its own group is the outermost one; the path is the host's.
    write(tmp_path, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "50000\n")
    write(tmp_path, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    write(tmp_path, "sys/fs/cgroup/memory/memory.limit_in_bytes", "3000000\n")
    assert machine.cores(tmp_path)["quota"] == 0.5
    assert machine.cores(tmp_path)["usable"] == 1
    assert machine.memory(tmp_path)["limit"] == 3_000_000


def test_no_limit_is_none(tmp_path):
    write(tmp_path, "proc/self/cgroup", "4:memory:/\n3:cpu:/\n0::/\n")
    write(tmp_path, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    write(tmp_path, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    write(tmp_path, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    write(tmp_path, "sys/fs/cgroup/cpu.max", "max 100000\n")
    write(tmp_path, "proc/meminfo", "MemTotal: 20 kB\nMemAvailable:    10 kB\n")
    assert machine.cores(tmp_path)["quota"] is None
    found = machine.memory(tmp_path)
    assert found["limit"] is None
    assert found["available"] == 10 * 1024


def test_a_system_without_such_files_has_what_it_has(tmp_path):
    found = machine.cores(tmp_path)
    assert found["quota"] is None
    assert 1 <= found["usable"] <= (os.cpu_count() or 1)
    assert machine.memory(tmp_path)["available"] is None


def test_versions_name_the_libraries():
    assert {"python", "ssl-robust", "torch", "timm"} <= machine.versions().keys()
