// Do not edit; made by `deno task gen` from lib/flowmessage.proto.

export const FLOWMESSAGE = {
  "nested": {
    "flowpb": {
      "nested": {
        "FlowMessage": {
          "fields": {
            "type": {
              "type": "FlowType",
              "id": 1
            },
            "sampling_rate": {
              "type": "uint64",
              "id": 3
            },
            "src_addr": {
              "type": "bytes",
              "id": 6
            },
            "dst_addr": {
              "type": "bytes",
              "id": 7
            },
            "bytes": {
              "type": "uint64",
              "id": 9
            },
            "packets": {
              "type": "uint64",
              "id": 10
            },
            "sampler_address": {
              "type": "bytes",
              "id": 11
            },
            "proto": {
              "type": "uint32",
              "id": 20
            },
            "src_port": {
              "type": "uint32",
              "id": 21
            },
            "dst_port": {
              "type": "uint32",
              "id": 22
            },
            "etype": {
              "type": "uint32",
              "id": 30
            },
            "time_received_ns": {
              "type": "uint64",
              "id": 110
            },
            "time_flow_start_ns": {
              "type": "uint64",
              "id": 111
            },
            "time_flow_end_ns": {
              "type": "uint64",
              "id": 112
            },
            "from_server": {
              "type": "bool",
              "id": 1100
            },
            "observer_host_id": {
              "type": "string",
              "id": 1101
            },
            "observer_host_name": {
              "type": "string",
              "id": 1102
            },
            "observer_boot_id": {
              "type": "string",
              "id": 1103
            },
            "observer_role": {
              "type": "string",
              "id": 1104
            },
            "direction_source": {
              "type": "string",
              "id": 1105
            },
            "attribution_source": {
              "type": "string",
              "id": 1106
            },
            "client_service_name": {
              "type": "string",
              "id": 1107
            },
            "server_service_name": {
              "type": "string",
              "id": 1108
            },
            "client_process_executable_name": {
              "type": "string",
              "id": 1109
            },
            "server_process_executable_name": {
              "type": "string",
              "id": 1110
            },
            "process_executable_path": {
              "type": "string",
              "id": 1111
            },
            "process_command_line": {
              "type": "string",
              "id": 1112
            },
            "process_cgroup": {
              "type": "string",
              "id": 1113
            },
            "flow_source": {
              "type": "string",
              "id": 1114
            },
            "reporter": {
              "type": "string",
              "id": 1115
            },
            "client_ports": {
              "rule": "repeated",
              "type": "uint32",
              "id": 1200
            },
            "client_port_count": {
              "type": "uint32",
              "id": 1201
            },
            "process_pid": {
              "type": "uint32",
              "id": 1202
            },
            "process_user_id": {
              "type": "uint32",
              "id": 1203
            },
            "process_network_namespace": {
              "type": "uint64",
              "id": 1204
            },
            "retransmits": {
              "type": "uint64",
              "id": 1205
            },
            "bytes_retrans": {
              "type": "uint64",
              "id": 1206
            },
            "lost": {
              "type": "uint64",
              "id": 1207
            },
            "reordering_seen": {
              "type": "uint64",
              "id": 1208
            },
            "busy_us": {
              "type": "uint64",
              "id": 1209
            },
            "rwnd_limited_us": {
              "type": "uint64",
              "id": 1210
            },
            "sndbuf_limited_us": {
              "type": "uint64",
              "id": 1211
            },
            "amounts_unknown": {
              "type": "uint64",
              "id": 1212
            },
            "connections_opened": {
              "type": "uint64",
              "id": 1213
            },
            "connections_closed": {
              "type": "uint64",
              "id": 1214
            },
            "connections_reset": {
              "type": "uint64",
              "id": 1215
            },
            "connections_timed_out": {
              "type": "uint64",
              "id": 1216
            },
            "connections_failed_refused": {
              "type": "uint64",
              "id": 1217
            },
            "connections_failed_timeout": {
              "type": "uint64",
              "id": 1218
            },
            "connections_failed_unreachable": {
              "type": "uint64",
              "id": 1219
            },
            "connections_failed_other": {
              "type": "uint64",
              "id": 1220
            },
            "srtt_us_sum": {
              "type": "uint64",
              "id": 1221
            },
            "srtt_samples": {
              "type": "uint64",
              "id": 1222
            },
            "srtt_us_min": {
              "type": "uint32",
              "id": 1223
            },
            "srtt_us_max": {
              "type": "uint32",
              "id": 1224
            },
            "rttvar_us_sum": {
              "type": "uint64",
              "id": 1225
            },
            "min_rtt_us": {
              "type": "uint32",
              "id": 1226
            },
            "connect_us_sum": {
              "type": "uint64",
              "id": 1227
            },
            "connect_samples": {
              "type": "uint64",
              "id": 1228
            },
            "connect_us_max": {
              "type": "uint32",
              "id": 1229
            },
            "snd_cwnd_sum": {
              "type": "uint64",
              "id": 1230
            },
            "snd_cwnd_min": {
              "type": "uint32",
              "id": 1231
            },
            "event_count": {
              "type": "uint64",
              "id": 1232
            },
            "schema_version": {
              "type": "uint32",
              "id": 1233
            },
            "row_sampling_rate": {
              "type": "uint32",
              "id": 1234
            },
            "peer_bytes_sent": {
              "type": "uint64",
              "id": 1235
            },
            "peer_bytes_received": {
              "type": "uint64",
              "id": 1236
            },
            "fold_level": {
              "type": "uint32",
              "id": 1237
            },
            "late_count": {
              "type": "uint64",
              "id": 1238
            }
          },
          "nested": {
            "FlowType": {
              "values": {
                "FLOWUNKNOWN": 0,
                "SFLOW_5": 1,
                "NETFLOW_V5": 2,
                "NETFLOW_V9": 3,
                "IPFIX": 4
              }
            }
          }
        }
      }
    }
  }
};
